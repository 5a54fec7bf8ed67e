"""Layers that engines fuse into one: their parts must share a scheme, or be left dense together."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMON_FUSED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}
)
"""Fused layers to their parts, as vLLM and SGLang call them both."""
FUSED_PARTS: tuple[tuple[str, ...], ...] = (
    *COMMON_FUSED.values(),
    ("w1", "w3"),
    ("q_a_proj", "kv_a_proj_with_mqa"),
    ("query", "key", "value"),
    ("in_proj_qkv", "in_proj_z"),
    ("in_proj_b", "in_proj_a"),
    ("linear_in", "linear_gate"),
    ("fc_in", "fc_gate"),
)
"""Last names of modules that vLLM loads into one parameter (its models' ``packed_modules_mapping``)."""

PROJECTIONS = (("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2"))
"""The gate, up and down projection of a gated MLP or an expert, under the two sets of names that checkpoints use."""

SGLANG_FUSED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {**COMMON_FUSED, "fused_qkv_a_proj_with_mqa": ("q_a_proj", "kv_a_proj_with_mqa")}
)
"""What SGLang 0.5.23 calls fused layers. Many of its classes (Llama, Qwen3) do not tell its quantization config of the parts, so
that such a layer must be ignored under this name too."""
FUSED_INTO: Mapping[str, str] = MappingProxyType({part: name for name, parts in SGLANG_FUSED.items() for part in parts})
"""Last names of parts, each with that of its fused layer."""

_OWNER = {part: parts[0] for parts in FUSED_PARTS for part in parts}
_EXPERTS = re.compile(r"(.*?\.experts)\.\d+\.")


def fused_key(module: str) -> str:
    """Return a key that is the same for all modules which engines load into one layer.

    Parts of a fused projection share the key of their first part; all experts of one MoE layer share one key, since a fused
    MoE layer has a single scheme (vLLM's ``get_moe_method``).
    """
    experts = _EXPERTS.match(module)
    if experts:
        return experts[1]
    parent, _, leaf = module.rpartition(".")
    return f"{parent}.{_OWNER[leaf]}" if leaf in _OWNER else module
