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


SHARING = [{"index_topk_freq": 2, "index_skip_topk_offset": 1}, {"index_topk_pattern": "FS"}]
"""Settings by which the second layer takes the choice of the first."""


def without_indexer(tensors: dict[str, Raw], layer: int) -> None:
    for name in [name for name in tensors if f"layers.{layer}.self_attn.indexer." in name]:
        del tensors[name]


@pytest.mark.parametrize("settings", SHARING)
def test_layers_that_share_an_indexer_have_none(settings: dict[str, object], folder: Path) -> None:
    edit_config(folder, lambda config: config.update(settings))
    assert errors(folder) == {"TEN033"}
    edit_tensors(folder, lambda tensors: without_indexer(tensors, 1))
    assert errors(folder) == set()


@pytest.mark.parametrize("settings", SHARING)
def test_the_layer_whose_indexer_others_share_needs_it(settings: dict[str, object], folder: Path) -> None:
    edit_config(folder, lambda config: config.update(settings))
    edit_tensors(folder, lambda tensors: [without_indexer(tensors, layer) for layer in (0, 1)])
    assert errors(folder) == {"TEN025"}


def test_a_layer_without_an_indexer_where_none_is_shared(folder: Path) -> None:
    edit_tensors(folder, lambda tensors: without_indexer(tensors, 1))
    assert errors(folder) == {"TEN025"}


def test_the_width_of_a_head_in_the_config_is_that_of_no_head_in_latent_attention(folder: Path) -> None:
    edit_config(folder, lambda config: config.update(head_dim=192))
    assert errors(folder) == set()
