"""A text model's config inside a model whose type is no wrapper's: vLLM takes it as it stands, and stops."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config
from inspecting import error_list


@pytest.mark.parametrize(("family", "model_type"), [("gemma3-mm", "gemma3_text"), ("llama4", "llama")])
def test_a_wrapper_under_the_type_of_a_text_model(
    family: str, model_type: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / family)
    assert error_list(folder) == []
    edit_config(folder, lambda config: config.update(model_type=model_type))
    assert error_list(folder) == ["CFG022"]


@pytest.mark.parametrize(("key", "codes"), [("generator", ["CFG022"]), ("notes", [])])
def test_a_config_inside_a_text_model(
    key: str, codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("llama"), tmp_path / "llama")
    edit_config(folder, lambda config: config.update({key: {"steps": 7}}))
    assert error_list(folder) == codes


@pytest.mark.parametrize(
    ("settings", "codes"), [({"use_qk_norm": False}, []), ({}, ["CFG022"])], ids=["stated", "left out"]
)
def test_what_the_layers_of_another_class_read_inside_a_wrapper(
    settings: dict[str, bool], codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("Glm4vMoeForConditionalGeneration"), tmp_path / "glm4v-moe")
    edit_config(folder, lambda config: config["text_config"].update(settings, head_dim=64))
    assert [code for code in error_list(folder) if code.startswith("CFG")] == codes
