"""The tiny checkpoints are what their rows say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from families import FAMILIES, build
from safetensors import safe_open

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import CheckpointFactory


def names(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, "numpy") as file:
            found |= set(file.keys())
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_head_is_saved_as_the_row_says(name: str, checkpoint: CheckpointFactory) -> None:
    family = FAMILIES[name]
    folder = checkpoint(name)
    heads = {key for key in names(folder) if key.endswith(("lm_head.weight", "embed_out.weight", "proj_out.weight"))}
    assert heads == ({f"{family.head}.weight"} if family.head else set())
    assert json.loads((folder / "config.json").read_text())["architectures"] == [family.architecture]


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (build("llama", tmp_path / str(i), shards=3, tokenizer=True) for i in range(2))
    files = sorted(path.name for path in first.iterdir())
    assert len([name for name in files if name.endswith(".safetensors")]) >= 3
    assert {"tokenizer.json", "config.json", "generation_config.json", "model.safetensors.index.json"} <= set(files)
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_tying_can_be_turned_round(checkpoint: CheckpointFactory) -> None:
    assert "lm_head.weight" not in names(checkpoint("llama", tied=True))
    assert "lm_head.weight" in names(checkpoint("qwen3-tied", tied=False))
