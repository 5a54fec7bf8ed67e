"""Parts that a module has in one layer and lacks in another, and sizes that only the text model of a wrapper tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import edit_tensors
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
