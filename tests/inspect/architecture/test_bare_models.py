"""Models without their head that vLLM makes of the class that generates, to pool with: their tensors are that model's."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config, edit_tensors
from inspecting import error_list


@pytest.fixture
def bare(checkpoint: Callable[..., Path], tmp_path: Path) -> Path:
    """Return Qwen 3 as its base class saves it: no head, and names as inside of the model."""
    folder = shutil.copytree(checkpoint("qwen3"), tmp_path / "bare")
    edit_config(folder, lambda config: config.update(architectures=["Qwen3Model"]))

    def without_head(tensors: dict[str, object]) -> None:
        inside = {name.removeprefix("model."): raw for name, raw in tensors.items() if not name.startswith("lm_head.")}
        tensors.clear()
        tensors.update(inside)

    edit_tensors(folder, without_head)
    return folder


def test_a_healthy_one(bare: Path) -> None:
    assert error_list(bare) == []


def test_a_norm_that_is_lost(bare: Path) -> None:
    edit_tensors(bare, lambda tensors: tensors.pop("layers.1.input_layernorm.weight"))
    assert error_list(bare) == ["TEN025"]


def test_a_feed_forward_of_another_width_than_its_config_says(bare: Path) -> None:
    edit_config(bare, lambda config: config.update(intermediate_size=384))
    assert error_list(bare) == ["TEN026"]
