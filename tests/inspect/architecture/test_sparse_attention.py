"""Models with sparse attention, whose layers have an indexer."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import Raw, edit_config, edit_tensors
from families import build
from inspecting import errors

NAMES = ("learnt-deepseek-v3.2", "learnt-glm-5")
INDEXER = "model.layers.1.self_attn.indexer"


@pytest.fixture(params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return build(request.param, tmp_path / request.param)


def test_a_healthy_one(folder: Path) -> None:
    assert errors(folder) == set()


def test_an_indexer_without_its_norm(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: [tensors.pop(name) for name in list(tensors) if "indexer.k_norm.w" in name])
    assert "TEN025" in errors(folder)


def test_an_indexer_of_another_width(folder: Path) -> None:
    edit_tensors(
        folder, lambda tensors: tensors.update({f"{INDEXER}.wk.weight": Raw("BF16", (128, 256), bytes(2**16))})
    )
    assert "TEN026" in errors(folder)


def test_a_stranger_in_an_indexer(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: tensors.update({f"{INDEXER}.extra.weight": tensors[f"{INDEXER}.wk.weight"]}))
    assert "TEN024" in errors(folder)


def test_a_bias_of_correction_that_the_config_says_nothing_of(folder: Path) -> None:
    edit_config(folder, lambda config: config.pop("topk_method"))
    assert errors(folder) != set()


def test_scales_of_the_cache_in_a_dense_one_are_overlooked(folder: Path) -> None:
    scale = Raw("F32", (1,), bytes(4))
    edit_tensors(folder, lambda tensors: tensors.update({INDEXER.replace(".indexer", ".k_scale"): scale}))
    assert errors(folder) == set()
