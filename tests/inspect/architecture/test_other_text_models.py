"""Wrappers that hold whatever text model their config names: what they lack or have too much is told of any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors
from inspecting import errors
from wrapped import build_wrapped

from ctq.checkpoint.config import parse_config
from ctq.engines.skeletons.find import skeleton_of

Tensors = dict[str, Raw]


def without(name: str) -> Callable[[Tensors], None]:
    return lambda tensors: [tensors.pop(key) for key in list(tensors) if key.endswith(name)] and None


def longer(name: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        [key] = [key for key in tensors if key.endswith(name)]
        raw = tensors[key]
        tensors[key] = Raw(
            raw.dtype, (raw.shape[0] + 8, *raw.shape[1:]), raw.data + raw.data[: 8 * len(raw.data) // raw.shape[0]]
        )

    return change


def misspelt(name: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        [key] = [key for key in tensors if key.endswith(name)]
        tensors[f"{key}s"] = tensors.pop(key)

    return change


@pytest.mark.parametrize(
    ("wrapper", "inner", "change", "code"),
    [
        ("llava", "qwen2", without("layers.1.self_attn.q_proj.bias"), "TEN025"),
        ("llava", "gemma", longer("layers.0.mlp.up_proj.weight"), "TEN026"),
        ("llava", "gpt-neox", without("layers.1.attention.dense.weight"), "TEN025"),
        ("llava-next", "gemma2", without("post_feedforward_layernorm.weight"), "TEN025"),
        ("internvl", "qwen3-moe", misspelt("layers.0.self_attn.q_norm.weight"), "TEN024"),
        ("mistral3", "granite", longer("layers.0.self_attn.k_proj.weight"), "TEN026"),
    ],
)
def test_the_tensors_of_the_text_model_that_is_named(
    wrapper: str, inner: str, change: Callable[[Tensors], None], code: str, tmp_path: Path
) -> None:
    folder = build_wrapped(wrapper, inner, tmp_path / "model")
    assert errors(folder) == set()
    edit_tensors(folder, change)
    assert code in errors(folder)


def test_a_wrapper_that_builds_its_own_text_model_whatever_the_config_names(tmp_path: Path) -> None:
    folder = build_wrapped("idefics3", "qwen2", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    assert config["text_config"]["model_type"] == "qwen2"
    skeleton = skeleton_of(parse_config((folder / "config.json").read_bytes()))
    assert skeleton is not None
    assert skeleton.inner == "llama"


def test_a_text_model_that_is_not_known_inside_is_left_alone(tmp_path: Path) -> None:
    folder = build_wrapped("llava", "llama", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["model_type"] = "of_tomorrow"
    assert skeleton_of(parse_config(json.dumps(config).encode())) is None
