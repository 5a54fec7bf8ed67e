"""How vLLM's models fuse layers: the ``packed_modules_mapping`` that nearly all of them share, as one table."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_FUSED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "qkv_proj": ("q_proj", "k_proj", "v_proj"),
        "gate_up_proj": ("gate_proj", "up_proj"),
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


def fused_mapping(architecture: str | None = None) -> Mapping[str, tuple[str, ...]]:
    """Return the fused layers of an architecture; of an unknown one those that nearly all models share."""
    own = MODEL_FUSED.get(architecture or "")
    return {**DEFAULT_FUSED, **own} if own else DEFAULT_FUSED
