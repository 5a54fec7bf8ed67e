"""Parts that a module has in one layer and lacks in another, and sizes that only the text model of a wrapper tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import edit_config, edit_tensors
from families import build
from inspecting import errors
from raw_safetensors import Raw


@pytest.mark.parametrize(
    ("family", "lost"),
    [
        ("falcon", "transformer.h.1.input_layernorm.weight"),
        ("falcon", "transformer.h.0.input_layernorm."),
        ("gpt-oss", "model.layers.1.self_attn.v_proj.bias"),
        ("granite-moe-shared", "model.layers.0.shared_mlp."),
        ("lfm2-moe", "model.layers.1.feed_forward.expert_bias"),
        ("nemotron-h-moe", "backbone.layers.1.mixer.gate."),
        ("nemotron-h-latent", "backbone.layers.3.mixer.fc1_latent_proj."),
        ("learnt-gemma4-mm-moe", "model.vision_tower.encoder.layers.1.self_attn.k_norm.weight"),
    ],
)
def test_one_layer_lacks_what_the_others_have(family: str, lost: str, tmp_path: Path) -> None:
    folder = build(family, tmp_path / "m")
    assert errors(folder) == set()
    names: list[str] = []

    def drop(tensors: dict[str, Raw]) -> None:
        names.extend(name for name in tensors if name.startswith(lost))
        for name in names:
            del tensors[name]

    edit_tensors(folder, drop)
    assert names
    assert errors(folder) == {"TEN025"}


@pytest.mark.parametrize(
    ("family", "old", "new"),
    [
        ("qwen3.5-vl", "model.visual.merger.norm.weight", "model.visual.merger.norms.weight"),
        ("idefics3", "model.vision_model.post_layernorm.weight", "model.vision_model.post_norm.weight"),
        ("qwen2-audio", "audio_tower.conv1.weight", "audio_tower.conv_1.weight"),
        (
            "learnt-gemma4-mm-moe",
            "model.vision_tower.encoder.layers.0.input_layernorm.weight",
            "model.vision_tower.encoder.layers.0.input_norm.weight",
        ),
    ],
)
def test_one_name_of_a_tower_is_wrong(family: str, old: str, new: str, tmp_path: Path) -> None:
    folder = build(family, tmp_path / "m")
    assert errors(folder) == set()
    edit_tensors(folder, lambda tensors: tensors.update({new: tensors.pop(old)}))
    assert "TEN025" in errors(folder)


def test_norms_of_queries_that_the_engine_does_not_build(tmp_path: Path) -> None:
    assert errors(build("stablelm", tmp_path / "m")) == set()
    assert errors(build("learnt-stablelm-qk", tmp_path / "qk")) == {"TEN024"}


def test_every_layer_behind_the_dense_ones_has_experts_whatever_a_key_of_others_says(tmp_path: Path) -> None:
    folder = build("glm4-moe", tmp_path / "m")
    edit_config(folder, lambda config: config.update(moe_layer_freq=2))
    assert errors(folder) == set()


def cut_one_row(folder: Path, name: str) -> None:
    def shorten(tensors: dict[str, Raw]) -> None:
        raw = tensors[name]
        rows = raw.shape[0]
        tensors[name] = Raw(raw.dtype, (rows - 1, *raw.shape[1:]), raw.data[: (rows - 1) * len(raw.data) // rows])

    edit_tensors(folder, shorten)


def test_biases_of_all_experts(tmp_path: Path) -> None:
    folder = build("gpt-oss", tmp_path / "m")
    assert errors(folder) == set()
    cut_one_row(folder, "model.layers.1.mlp.experts.gate_up_proj_bias")
    assert errors(folder) == {"TEN026"}


@pytest.mark.parametrize("part", ["k_proj", "q_norm"])
def test_layers_that_the_wrapper_was_not_learnt_with(part: str, tmp_path: Path) -> None:
    family = "Qwen3_5MoeForConditionalGeneration"
    kinds = {"layer_types": ["linear_attention", "full_attention"]}
    folder = build(family, tmp_path / "m", config={"text_config": kinds})
    assert errors(folder) == set()
    cut_one_row(folder, f"model.language_model.layers.1.self_attn.{part}.weight")
    assert errors(folder) == {"TEN026"}
