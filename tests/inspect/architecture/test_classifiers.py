"""Classifiers that vLLM makes of a language model's class: their body is judged as the model's, their output may be of several names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import edit_config, edit_tensors, from_floats
from inspecting import error_list

CheckpointFactory = Callable[..., Path]


def classifier(source: Path, folder: Path, *, output: bool = True) -> Path:
    """Make a classifier of two labels of a dense model: its head is gone, its output a `score`."""
    shutil.copytree(source, folder)
    name = json.loads((folder / "config.json").read_text())["architectures"][0].removesuffix("ForCausalLM")
    edit_config(folder, lambda config: config.update(architectures=[f"{name}ForSequenceClassification"]))
    hidden = json.loads((folder / "config.json").read_text())["hidden_size"]
    score = {"score.weight": from_floats(np.ones((2, hidden), np.float32), "BF16")} if output else {}
    edit_tensors(folder, lambda tensors: (tensors.pop("lm_head.weight", None), tensors.update(score)))
    return folder


def test_a_healthy_one(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    assert error_list(classifier(checkpoint("llama"), tmp_path / "made")) == []


def test_keys_and_values_of_more_heads_than_its_config_has(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = classifier(checkpoint("llama"), tmp_path / "made")
    edit_config(folder, lambda config: config.update(num_key_value_heads=1))
    assert error_list(folder) == ["TEN026"]


def test_a_norm_that_is_lost(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = classifier(checkpoint("llama"), tmp_path / "made")
    edit_tensors(folder, lambda tensors: tensors.pop("model.norm.weight"))
    assert error_list(folder) == ["TEN025"]


@pytest.mark.parametrize("family", ["llama", "falcon"])
def test_one_without_an_output(checkpoint: CheckpointFactory, tmp_path: Path, family: str) -> None:
    """Falcon's attention has a layer called `dense`, as some classifiers do."""
    folder = classifier(checkpoint(family, tied=False), tmp_path / "made", output=False)
    assert error_list(folder) == ["CFG023"]
