"""Tensor names split into a module and one of its parts, for every way of storing a layer that inspection knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

WEIGHT_PARTS = ("weight", "weight_packed", "qweight", "blocks", "")
"""Parts that hold the weight itself; ``""`` is a parameter that is no module's ``weight``."""

CACHE_PARTS = frozenset({"k_scale", "v_scale", "q_scale", "kv_scale", "k_zero_point", "v_zero_point", "q_zero_point"})
"""Scales of attention and of the key-value cache, which belong to no weight."""

PARTS: frozenset[str] = CACHE_PARTS | frozenset(
    {
        "weight",
        "bias",
        # compressed-tensors
        "weight_packed",
        "weight_scale",
        "weight_shape",
        "weight_zero_point",
        "weight_g_idx",
        "weight_global_scale",
        "input_scale",
        "input_zero_point",
        "input_global_scale",
        "output_scale",
        "output_zero_point",
        # GPTQ, AWQ
        "qweight",
        "qzeros",
        "scales",
        "g_idx",
        # FP8 as DeepSeek ships it, ModelOpt, fbgemm
        "weight_scale_inv",
        "weight_scale_2",
        "activation_scale",
        "input_scale_ub",
        # bitsandbytes
        "SCB",
        "weight_format",
        # MLX keeps `biases` beside `scales`
        "biases",
    }
)

_INSIDE_WEIGHT = ".weight."
_NESTED = ("absmax", "quant_map", "nested_absmax", "nested_quant_map", "quant_state")
"""What bitsandbytes' 4-bit form keeps under the name of the weight."""

_EXPERT_SUFFIXES: tuple[tuple[str, str], ...] = (
    ("_blocks", "blocks"),
    ("_scales", "scales"),
    ("_weight_packed", "weight_packed"),
    ("_weight_scale", "weight_scale"),
    ("_weight_shape", "weight_shape"),
    ("_weight", "weight"),
    ("_packed", "weight_packed"),
    ("_scale_inv", "weight_scale_inv"),
    ("_scale", "weight_scale"),
    ("_bias", "bias"),
)
"""Endings of parameters that hold all experts of a layer (``experts.gate_up_proj_blocks``), and the part each stands for."""


RECURRENT = frozenset({"A_log", "conv1d", "dt_bias"})
"""What a state space or linear attention has and attention has not: a module with these keeps no key-value cache."""
_OF_CACHE = re.compile(r"(.*\.self_attn)\.(?:q|[kv]_cache)\.scale$")
"""HunYuan's names of such scales (vLLM 0.32.0 ``base_config.py``, ``get_cache_scale_mapper``)."""
_PROJECTION = re.compile(r"(?:.*\.self_attn(?=\.(?:[kv]_proj|qk(?:qk)?v_proj)$)|.*\.mixer(?=\.[kv]_proj$))")
"""What projections lie in whose ``k_scale`` and ``v_scale`` the same mapper leads to attention."""
SCALES_OF_PROJECTIONS = frozenset({"k_scale", "v_scale"})
"""Scales of the cache that may lie in a projection of keys or values."""


def attention_of(template: str, parts: Collection[str]) -> str | None:
    """Return the attention that vLLM leads scales to which alone make up a module; None where they are no such scales."""
    if set(parts) == {""}:
        found = _OF_CACHE.match(template)
        return found[1] if found else None
    if not CACHE_PARTS.issuperset(parts):
        return None
    owner = attention_of_projection(template) if SCALES_OF_PROJECTIONS.issuperset(parts) else None
    return owner if owner is not None else template.removesuffix(".attn")


def attention_of_projection(template: str) -> str | None:
    """Return the attention that a projection lies in which vLLM takes scales of the cache from; None of any other module."""
    found = _PROJECTION.match(template)
    return found[0] if found else None


def split_odd(name: str) -> tuple[str, str]:
    """Return module and part of a tensor whose last name is not in ``PARTS``."""
    head, found, rest = name.partition(_INSIDE_WEIGHT)
    if found and rest.startswith(_NESTED):
        return head, f"weight.{rest}"
    parent, _, leaf = name.rpartition(".")
    if parent.endswith("experts"):
        for suffix, part in _EXPERT_SUFFIXES:
            if leaf.endswith(suffix):
                return f"{parent}.{leaf.removesuffix(suffix)}", part
    return name, ""


def stored_name(module: str, part: str, tensors: Mapping[str, object]) -> str:
    """Return what the files call a part of a module: parts of fused experts are joined to its name in other words."""
    name = f"{module}.{part}" if part else module
    joined = (f"{module}{suffix}" for suffix, meant in _EXPERT_SUFFIXES if meant == part)
    return name if name in tensors else next((other for other in joined if other in tensors), name)
