"""Models that run through several lists of layers, each as long as the config says of one (HRM)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_config, edit_tensors
from families import build
from inspecting import errors

Change = Callable[[dict[str, Raw]], object]


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("HrmTextForCausalLM", tmp_path_factory.mktemp("hrm") / "dense", config={"num_layers_per_stack": 4})


def without(layer: str) -> Change:
    return lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith(layer)]


def with_a_copy(layer: str, other: str) -> Change:
    return lambda tensors: tensors.update(
        {name.replace(layer, other): raw for name, raw in tensors.items() if name.startswith(layer)}
    )


def test_as_many_layers_as_the_config_says(dense: Path) -> None:
    assert errors(dense) == set()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (without("model.L_module.layers.3."), "TEN025"),
        (without("model.H_module.layers.1."), "TEN025"),
        (with_a_copy("model.H_module.layers.3.", "model.H_module.layers.4."), "TEN024"),
    ],
)
def test_a_layer_too_few_or_too_many(dense: Path, tmp_path: Path, change: Change, code: str) -> None:
    folder = shutil.copytree(dense, tmp_path / "own")
    edit_tensors(folder, change)
    assert errors(folder) == {code}


def test_a_config_of_fewer_layers(dense: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(dense, tmp_path / "own")
    edit_config(folder, lambda config: config.update(num_layers_per_stack=2))
    assert errors(folder) == {"TEN024"}
