"""How vLLM's models fuse layers: the ``packed_modules_mapping`` that nearly all of them share, as one table."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from ctq.engines.data_file import of_architecture
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.recipe.fused import COMMON_FUSED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_FUSED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        **COMMON_FUSED,
        "fused_qkv_a_proj": ("q_a_proj", "kv_a_proj_with_mqa"),
        "in_proj_qkvz": ("in_proj_qkv", "in_proj_z"),
        "in_proj_ba": ("in_proj_b", "in_proj_a"),
        "fused_wqa_wkv": ("wq_a", "wkv"),
        "fused_wkv_wgate": ("wkv", "wgate"),
        "merged_qkv": ("wq", "wk", "wv"),
        "merged_linear": ("gate_proj", "up_proj"),
        "merged_kv": ("k_proj", "v_proj"),
        "wk_weights_proj": ("wk", "weights_proj"),
        "w13": ("w1", "w3"),
        "kv_proj": ("k_proj", "v_proj"),
    }
)
"""Fused layer to its parts (vLLM 0.32.0, `packed_modules_mapping` of the model classes, those with one meaning everywhere).

The order counts: the first key that a name ends with is taken, and ``kv_proj`` also ends ``qkv_proj``.
"""

TAKEN_APART: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Glm4ForCausalLM": {"gate_up_proj": ("gate_proj", "up_proj")},
        "Glm4vForConditionalGeneration": {"gate_up_proj": ("gate_proj", "up_proj")},
        "GlmOcrForConditionalGeneration": {"gate_up_proj": ("gate_proj", "up_proj")},
        "Phi3ForCausalLM": {"gate_up_proj": ("gate_proj", "up_proj"), "qkv_proj": ("q_proj", "k_proj", "v_proj")},
    }
)
"""Layers that the files of an architecture hold fused, and that vLLM 0.32.0 was seen to load from their parts too."""
_GATE_UP = frozenset({"gate_up_proj"})
REFUSED_FUSED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(("DeepseekForCausalLM", "MiniCPMForCausalLM"), _GATE_UP | {"qkv_proj"}),
        **dict.fromkeys(("DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "DeepseekV32ForCausalLM"), _GATE_UP),
        **dict.fromkeys(("Glm4MoeLiteForCausalLM", "GlmMoeDsaForCausalLM"), _GATE_UP),
        **dict.fromkeys(("K2HorizonForCausalLM", "MiniCPM3ForCausalLM"), _GATE_UP),
    }
)
"""Layers that vLLM 0.32.0 was seen not to load under the fused name: its loader finds `up_proj` in `gate_up_proj`.

Source: ``model_executor/models/deepseek_v2.py:1598``, ``glm4_moe_lite.py:351``, ``k2_horizon.py:1197``, ``minicpm.py:495``.
"""
_ALREADY_FUSED = {"qkv_proj": ("qkv_proj",), "gate_up_proj": ("gate_up_proj",)}
_QUERY_KEY_VALUE = {"qkv_proj": ("query", "key", "value")}
_W1_W3 = {"gate_up_proj": ("w1", "w3")}

MODEL_FUSED: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "BailingMoeV3ForCausalLM": {"qkvb_proj": ("q_proj", "k_proj", "v_proj", "b_proj")},
        "BertModel": _QUERY_KEY_VALUE,
        "DeepseekV41LLMForCausalLM": _W1_W3,
        "DeepseekV4ForCausalLM": _W1_W3,
        "DeepseekV4ForConditionalGeneration": _W1_W3,
        "DotsOCRForCausalLM": {"fc13": ("fc1", "fc3")},
        "ExaoneForCausalLM": {"gate_up_proj": ("c_fc_0", "c_fc_1")},
        "GLM4VForCausalLM": {"merged_proj": ("gate_proj", "dense_h_to_4h")},
        "Glm4vForConditionalGeneration": {"gate_up_proj": ("gate_up_proj",)},
        "InternLM2ForCausalLM": _W1_W3,
        "K2HorizonForCausalLM": {"qk_proj": ("q_proj", "k_proj")},
        "MiMoV2ForCausalLM": {"qkv_proj": ("qkv_proj",)},
        "Molmo2ForConditionalGeneration": {"qkv_proj": ("qkv_proj",)},
        "MolmoForCausalLM": _ALREADY_FUSED,
        "OlmoHybridForCausalLM": {"in_proj_qkvg": ("q_proj", "k_proj", "v_proj", "g_proj")},
        "Param2MoEForCausalLM": {"qkv_proj": ("query_key_value",)},
        "Phi3ForCausalLM": _ALREADY_FUSED,
        "Phi4MMForCausalLM": _ALREADY_FUSED,
        "Plamo3ForCausalLM": _ALREADY_FUSED,
        "Qwen3NextForCausalLM": {"in_proj_qkvz": ("in_proj_qkvz",), "in_proj_ba": ("in_proj_ba",)},
        "Qwen4ExpForCausalLM": {
            "qkv_proj": ("q_proj", "k_proj", "v_proj", "indexer.index_qk_proj"),
            "kv_proj": ("key_proj", "value_proj"),
        },
        "RobertaForSequenceClassification": _QUERY_KEY_VALUE,
    }
)
"""Where an architecture's own table differs."""


_MERGED = "merged_proj_"
"""How the backend begins the name of a layer that it fuses and that no table names."""
_SURE = frozenset({"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"})
"""Layers that every model has which has attention or gates: where the backend builds one apart, it fuses none of its kind."""


def fused_mapping(architecture: str | None = None) -> Mapping[str, tuple[str, ...]]:
    """Return the fused layers of an architecture; of an unknown one those that nearly all models share."""
    own = MODEL_FUSED.get(architecture or "")
    shared = {**DEFAULT_FUSED, **own} if own else DEFAULT_FUSED
    known = of_architecture("engine_names", architecture, {})
    built = known.get("classes") if is_served_by_backend(architecture) else None
    return _of_the_backend(shared, built) if built else shared


def _of_the_backend(shared: Mapping[str, tuple[str, ...]], built: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Return what the backend fuses of those layers; what it has no name for it names by the parts, each behind its length.

    Source: vLLM 0.32.0 models/transformers/fusers/merged_column.py:36. Of layers that not every model has nothing is known.
    """
    names = set(built)
    merged = {name: _parts(name.removeprefix(_MERGED)) for name in names if name.startswith(_MERGED)}
    apart = {part for part in names if part in _SURE} | {part for parts in merged.values() for part in parts}
    kept = {name: parts for name, parts in shared.items() if name in names or apart.isdisjoint(parts)}
    return {**kept, **merged}


def _parts(name: str) -> tuple[str, ...]:
    """Return the parts of a name like `6_k_proj_6_v_proj`."""
    length, found, rest = name.partition("_")
    if not found or not length.isdecimal():
        return ()
    return (rest[: int(length)], *_parts(rest[int(length) + 1 :]))
