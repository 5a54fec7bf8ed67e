"""What stops transformers in the body of a model, by architecture, form and release."""

from __future__ import annotations

import pytest

from ctq.engines.verdicts.transformers_layers import Layer, layers_outcome

EXPERT = "model.layers.0.mlp.experts.3.gate_proj"


@pytest.mark.parametrize(
    ("architecture", "layer", "word"),
    [
        ("Qwen3MoeForCausalLM", Layer(EXPERT, "int8"), "fails"),
        ("Qwen3MoeForCausalLM", Layer(EXPERT, "packed"), None),
        ("Qwen3MoeForCausalLM", Layer("model.layers.0.self_attn.q_proj", "int8"), None),
        ("Qwen3MoeForCausalLM", Layer("model.layers.0.mlp.shared_experts.gate_proj", "int8"), None),
        ("GraniteMoeForCausalLM", Layer("model.layers.0.block_sparse_moe.experts.1.down_proj", "packed"), "garbage"),
        ("GraniteMoeForCausalLM", Layer("model.layers.0.self_attn.q_proj", "packed"), None),
        ("Llama4ForCausalLM", Layer("model.layers.0.feed_forward.experts.1.down_proj", "int8"), None),
        ("FalconForCausalLM", Layer("transformer.h.1.self_attention.dense", "packed"), "fails"),
        ("FalconForCausalLM", Layer("transformer.h.1.self_attention.dense", "int8"), None),
        ("LlamaForCausalLM", Layer("model.layers.1.self_attn.q_proj", "packed"), None),
        ("NoSuchForCausalLM", Layer(EXPERT, "int8"), None),
        (None, Layer(EXPERT, "int8"), None),
    ],
)
def test_layers_are_judged_by_architecture_and_form(architecture: str | None, layer: Layer, word: str | None) -> None:
    sound = Layer("model.norm", "int8")
    found = layers_outcome(architecture, [sound, layer], "5.19.0")
    assert (found and (found[0].verdict, found[1])) == (word and (word, layer.name))


def test_older_releases_hold_every_expert_by_itself() -> None:
    assert layers_outcome("Qwen3MoeForCausalLM", [Layer(EXPERT, "int8")], "4.57.1") is None
