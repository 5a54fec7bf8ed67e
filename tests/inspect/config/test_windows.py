"""Kinds of layers that vLLM's classes refuse side by side (Qwen 2), or in an order (Gemma 4): each was loaded by vLLM 0.32.0."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import edit_config
from families import build
from inspecting import errors

MIXED = ["full_attention", "sliding_attention"]


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "qwen2.5-vl"])
@pytest.mark.parametrize(
    ("settings", "codes"),
    [
        ({"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1, "layer_types": None}, {"CFG022"}),
        ({"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 0, "layer_types": None}, set()),
        ({"use_sliding_window": False, "sliding_window": 16, "max_window_layers": 1, "layer_types": None}, set()),
        ({"use_sliding_window": True, "sliding_window": None, "max_window_layers": 1, "layer_types": None}, set()),
        ({"sliding_window": 16, "max_window_layers": 28, "layer_types": MIXED}, {"CFG022"}),
        ({"sliding_window": 16, "max_window_layers": 2, "layer_types": MIXED}, set()),
    ],
)
def test_a_window_in_some_layers_is_an_error(
    family: str, settings: dict[str, Any], codes: set[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    def change(config: dict[str, Any]) -> None:
        level = config.get("text_config", config)
        level.update(settings)
        if settings["layer_types"] is None:
            del level["layer_types"]

    folder = shutil.copytree(checkpoint(family), tmp_path / family)
    edit_config(folder, change)
    assert errors(folder) == codes


@pytest.mark.parametrize("family", ["qwen2-moe", "gemma2"])
def test_other_classes_serve_them(family: str, checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / family)
    edit_config(folder, lambda config: config.update(layer_types=MIXED, sliding_window=16, max_window_layers=28))
    assert errors(folder) == set()


@pytest.mark.parametrize(
    ("shared", "codes"), [(2, {"CFG022"}), (1, {"CFG022"}), (0, set())], ids=["two", "one", "none"]
)
def test_layers_that_share_a_cache_need_one_of_their_kind_before(shared: int, codes: set[str], tmp_path: Path) -> None:
    kinds = {"num_hidden_layers": 4, "layer_types": ["sliding_attention"] * 3 + ["full_attention"]}
    folder = build("learnt-gemma4-shared-keys", tmp_path / "gemma4", config={**kinds, "num_kv_shared_layers": shared})
    assert errors(folder) == codes
