"""A tensor of no other beside it that switches of vLLM's class bring: it is there where all of them bring it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import edit_config, edit_tensors
from families import build
from inspecting import errors

NORM = "model.decoder.final_layer_norm"


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, {"TEN025"}),
        ({"do_layer_norm_before": False}, set()),
        ({"_remove_final_layer_norm": True}, set()),
        ({"do_layer_norm_before": True, "_remove_final_layer_norm": False}, {"TEN025"}),
    ],
)
def test_a_model_without_its_final_norm(changes: dict[str, Any], codes: set[str], tmp_path: Path) -> None:
    folder = build("opt", tmp_path)
    edit_config(folder, lambda config: config.update(changes))
    edit_tensors(folder, lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith(NORM)])
    assert errors(folder) == codes
