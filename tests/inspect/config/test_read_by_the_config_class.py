"""What the class of the model type makes of a config: kinds of layers, numbers that are null, and the model itself in the backend."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import edit_config
from inspecting import error_list

from ctq.checkpoint.config import ModelConfig
from ctq.engines.configs.layer_lists import unknown_kinds
from ctq.engines.configs.text_numbers import nulled


@pytest.mark.parametrize(
    ("family", "change", "codes"),
    [
        ("qwen3", {"layer_types": ["full_attention", "wonderful"]}, ["CFG022"]),
        ("qwen3", {"layer_types": ["attention", "full_attention"]}, []),
        ("olmo2", {"model_type": "llama"}, ["TEN024", "TEN025"]),
        ("cwm", {"model_type": "llama"}, []),
        ("olmo2", {"architectures": ["WonderfulForCausalLM", "Olmo2ForCausalLM"]}, []),
        ("helium", {"architectures": ["WonderfulForCausalLM", "HeliumForCausalLM"]}, ["CFG020"]),
    ],
)
def test_a_config(
    family: str, change: dict[str, Any], codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "m")
    edit_config(folder, lambda config: config.update(change))
    assert error_list(folder) == codes


def test_a_number_without_a_field_of_its_own_that_is_null() -> None:
    config = ModelConfig({"model_type": "jetmoe", "num_attention_heads": None, "hidden_size": 128})
    assert [key for key, _ in nulled(config)] == ["num_attention_heads"]
    assert list(nulled(ModelConfig({"model_type": "of nobody", "num_attention_heads": None}))) == []


def test_kinds_of_layers_are_not_checked_where_the_class_does_it_in_its_own_way() -> None:
    kinds = {"layer_types": ["wonderful"]}
    assert dict(unknown_kinds(ModelConfig({"model_type": "llama4_text", **kinds}))) == {
        "layer_types": "'wonderful' is no kind of layer"
    }
    for model_type in ("nemotron_h", "of nobody"):
        assert list(unknown_kinds(ModelConfig({"model_type": model_type, **kinds}))) == []
