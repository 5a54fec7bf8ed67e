"""Activation functions: one of vLLM's classes takes `silu` alone, others what a registry has, some do not look at the key."""

from __future__ import annotations

from typing import Any

import pytest

from ctq.checkpoint.config import ModelConfig
from ctq.engines.vllm_models.activations import refused_activations


@pytest.mark.parametrize(
    ("architecture", "config", "refused"),
    [
        ("LlamaForCausalLM", {"hidden_act": "silu"}, []),
        ("LlamaForCausalLM", {"hidden_act": "gelu"}, ["hidden_act"]),
        ("LlamaForCausalLM", {"hidden_act": "SiLU"}, ["hidden_act"]),
        ("MixtralForCausalLM", {"hidden_act": "wonderful"}, []),
        ("GPT2LMHeadModel", {"activation_function": "GELU"}, []),
        ("GPT2LMHeadModel", {"activation_function": "mish"}, ["activation_function"]),
        ("SmolLM3ForCausalLM", {"hidden_act": "mish"}, []),
        ("SmolLM3ForCausalLM", {"hidden_act": "GELU"}, ["hidden_act"]),
        (
            "LlavaForConditionalGeneration",
            {"hidden_act": "gelu", "text_config": {"hidden_act": "relu2"}, "vision_config": {"hidden_act": "gelu"}},
            ["text_config.hidden_act"],
        ),
        ("OfNobody", {"hidden_act": "gelu"}, []),
        ("OfNobody", {"hidden_act": "wonderful"}, ["hidden_act"]),
    ],
)
def test_what_is_refused(architecture: str, config: dict[str, Any], refused: list[str]) -> None:
    found = refused_activations(ModelConfig({"architectures": [architecture], **config}))
    assert [key for key, _ in found] == refused
