"""Names of tensors that lead to one place in vLLM's model, and parts that it has at its top."""

from __future__ import annotations

import pytest

from ctq.engines.skeletons.engine_places import has_part, lies_in, own_name
from ctq.engines.skeletons.find import skeleton_named


@pytest.mark.parametrize(
    ("architecture", "name", "own"),
    [
        ("MixtralForCausalLM", "model.layers.#.self_attn.q_proj.weight", "model.layers.#.self_attn.q_proj.weight"),
        ("Glm4vForConditionalGeneration", "language_model.model.norm.weight", "model.language_model.norm.weight"),
        ("Mistral3ForConditionalGeneration", "model.norm.weight", "language_model.model.norm.weight"),
        ("Qwen2_5_VLForConditionalGeneration", "model.language_model.norm.weight", "model.norm.weight"),
        ("Qwen3_5ForConditionalGeneration", "model.lm_head.weight", "model.lm_head.weight"),
        ("CTRLLMHeadModel", "language_model.lm_head.bias", "lm_head.bias"),
        ("GPTJForCausalLM", "language_model.lm_head.bias", "language_model.lm_head.bias"),
    ],
)
def test_a_tensor_is_known_by_its_place(architecture: str, name: str, own: str) -> None:
    assert own_name(skeleton_named(architecture), name) == own


@pytest.mark.parametrize(
    ("name", "there"), [("vision_tower.new.weight", True), ("vision_model.new.weight", False), ("output.weight", False)]
)
def test_a_part_is_known_by_its_top(name: str, *, there: bool) -> None:
    assert has_part(skeleton_named("PaliGemmaForConditionalGeneration"), name) is there


def test_a_layer_is_one_under_every_name() -> None:
    skeleton = skeleton_named("Glm4vForConditionalGeneration")
    assert skeleton.stack is not None
    assert lies_in(skeleton, "language_model.model.layers.#.mlp", skeleton.stack)
    assert not lies_in(skeleton, "model.visual.blocks.#.mlp", skeleton.stack)
