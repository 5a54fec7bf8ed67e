"""The last experts that the files lack: a router that has rows for them tells, also where every layer lacks them."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import edit_tensors
from families import build
from inspecting import errors
from raw_safetensors import Raw


@pytest.mark.parametrize("family", ["qwen3-moe", "mixtral", "deepseek-v3"])
@pytest.mark.parametrize("cut", [False, True], ids=["the router as it was", "the router cut"])
def test_the_last_expert_of_every_layer(family: str, cut: bool, tmp_path: Path) -> None:
    folder = build(family, tmp_path / "m")
    assert errors(folder) == set()

    def drop(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if ".experts.3." in name]:
            del tensors[name]
        for name, raw in tensors.items():
            if cut and name.endswith("gate.weight"):
                tensors[name] = Raw(raw.dtype, (3, raw.shape[1]), raw.data[: 3 * len(raw.data) // 4])

    edit_tensors(folder, drop)
    assert errors(folder) == ({"TEN026"} if cut else {"TEN020"})


def test_the_shared_expert_of_a_class_that_counts_none(tmp_path: Path) -> None:
    folder = build("llama4", tmp_path / "m")
    assert errors(folder) == set()
    edit_tensors(folder, lambda tensors: [tensors.pop(name) for name in list(tensors) if ".shared_expert." in name])
    assert errors(folder) == {"TEN025"}


@pytest.mark.parametrize("family", ["dots1", "qwen3-moe", "llama4"])
def test_a_layer_without_any_feed_forward(family: str, tmp_path: Path) -> None:
    folder = build(family, tmp_path / "m")
    assert errors(folder) == set()
    words = (".layers.1.mlp.", ".layers.1.feed_forward.")
    edit_tensors(folder, lambda tensors: [tensors.pop(name) for name in list(tensors) if any(map(name.count, words))])
    assert errors(folder) >= {"TEN025"}
