"""Which class builds the text model of a config: inside a wrapper that of the nested config's type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.read_levels import inner_architecture, read_levels
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig

LAYERS_OF = {
    "glm4v_moe_text": "Glm4MoeForCausalLM",
    "qwen3_omni_moe_text": "Qwen3MoeForCausalLM",
    "qwen3_vl_moe_text": "Qwen3MoeForCausalLM",
}
"""Text models that stand in wrappers alone, and are built of another class's layers.

Source: vLLM 0.32.0 ``model_executor/models/glm4_1v.py:1802``, ``qwen3_vl_moe.py:71``, ``qwen3_omni_moe_thinker.py:1082``.
"""


def text_architecture(config: ModelConfig) -> str | None:
    """Return the architecture whose class reads the text model's config: inside a wrapper that of the config's type."""
    where, level = read_levels(config)[-1]
    if not where:
        return config.architecture
    kind = level.get("model_type")
    kind = kind if isinstance(kind, str) else ""
    return causal_lm_of(kind) or LAYERS_OF.get(kind) or inner_architecture(config)


def causal_lm_of(model_type: str | None) -> str | None:
    """Return the text architecture of a model type, as engines choose it when the nested config names none.

    Source: transformers 5.19 ``MODEL_FOR_CAUSAL_LM_MAPPING_NAMES``, which vLLM's ``with_hf_config`` reads (config/vllm.py).
    """
    name = read_data("vllm_heads")["causal_lm_of_model_type"].get(model_type or "")
    return str(name) if name else None


def causal_lms() -> frozenset[str]:
    """Return the text architectures that transformers has."""
    return frozenset(read_data("vllm_heads")["causal_lm_of_model_type"].values())
