"""Which class builds the text model of a config: inside a wrapper that of the nested config's type.

A classifier or a base model whose text model vLLM has a class for is made of that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.read_levels import inner_architecture, read_levels
from ctq.engines.vllm_models.bare_models import text_model_of
from ctq.engines.vllm_models.causal_lms import causal_lm_of
from ctq.engines.vllm_models.other_tasks import classified_model, rewarded_model

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
        return text_model_beneath(config.architecture or "") or config.architecture
    kind = level.get("model_type")
    kind = kind if isinstance(kind, str) else ""
    return causal_lm_of(kind) or LAYERS_OF.get(kind) or inner_architecture(config)


def text_model_beneath(architecture: str) -> str | None:
    """Return the text model of whose class vLLM makes a classifier, a reward model or a base model."""
    return classified_model(architecture) or rewarded_model(architecture) or text_model_of(architecture)
