"""Results that carry ctq's own record: computed again from the reference, byte for byte, where the record can be followed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import breaking as do
import numpy as np
import pytest
from builders import all_tensors, edit_json, tiny_checkpoint
from proving import RECIPES, errors, prove
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.recipe.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


ODD = {"dtype": "F16", "vocab": 333}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("source", [{}, {"tied": True}, ODD], ids=["untied", "tied", "f16, odd"])
def test_results_of_ctq_are_computed_again_byte_for_byte(tmp_path: Path, recipe: Recipe, source: dict) -> None:
    if source == ODD and recipe is RECIPES["asymmetric"]:
        source = source | {"vocab": 332}  # zero points fill whole words
    reference = tiny_checkpoint(tmp_path / "r", **source)
    quantize(reference, tmp_path / "m", recipe)
    found, findings = prove(tmp_path / "m", reference)
    assert (found.recomputed, found.differences, found.undecided, errors(findings)) == (True, (), (), {})
    assert found.total.sqnr_db > 40
    assert len(found.modules) == {True: 15, False: 12}[bool(recipe.lm_head)]
    assert (found.total.beyond > 0) is (recipe.observer == "mse")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of ctq, one in several shards, and their reference beside them."""
    base = tmp_path_factory.mktemp("own")
    quantize(tiny_checkpoint(base / "r"), base / "m", RECIPES["asymmetric"], max_shard_size=120_000)
    for name in ("W8A8 with head", "W8A16 with head", "mixed"):
        quantize(base / "r", base / name, RECIPES[name])
    return base


def _flip(folder: Path, tensor: str, offset: int) -> tuple[Path, int]:
    checkpoint = open_checkpoint(LocalFolder(folder))
    shard = checkpoint.shard_of[tensor]
    place = checkpoint.headers[shard].data_start + checkpoint.tensors[tensor].start + offset
    with (folder / shard).open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    return folder / shard, place


@pytest.mark.parametrize("name", ["m", "W8A8 with head", "W8A16 with head", "mixed"])
def test_one_flipped_bit_in_any_tensor_is_found_and_named(own: Path, name: str) -> None:
    tensors = open_checkpoint(LocalFolder(own / name)).tensors
    random = np.random.default_rng(0)
    for tensor, info in tensors.items():
        offset = int(random.integers(info.nbytes))
        _flip(own / name, tensor, offset)
        found, findings = prove(own / name, own / "r")
        _flip(own / name, tensor, offset)
        assert [(item.tensor, item.offset) for item in found.differences] == [(tensor, offset)]
        # A bit of an exponent may also spoil the weight that the scale belongs to.
        assert tensor in errors(findings)
        assert set(errors(findings)) <= {tensor, tensor.rpartition(".")[0]}
    assert prove(own / name, own / "r")[0].differences == ()


def test_a_result_in_other_shards_is_still_known_byte_for_byte(own: Path, tmp_path: Path) -> None:
    from builders import write_folder

    config = json.loads((own / "m" / "config.json").read_text())
    folder = write_folder(tmp_path / "one", all_tensors(own / "m"), config, shards=1)
    (folder / "ctq.json").write_bytes((own / "m" / "ctq.json").read_bytes())
    found, _ = prove(folder, own / "r")
    assert (found.recomputed, found.differences) == (True, ())


def _no_recipe(folder: Path) -> None:
    edit_json(folder / "ctq.json", lambda record: record.update(recipe={"scheme": 8}))


def _other_version(folder: Path) -> None:
    edit_json(folder / "ctq.json", lambda record: record.update(ctq_version="0.0.1"))


def _unfitting(folder: Path) -> None:
    edit_json(folder / "ctq.json", lambda record: record["recipe"]["groups"][0].update(targets=["re:.*nothing$"]))


def _no_json(folder: Path) -> None:
    (folder / "ctq.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "codes"),
    [(_no_recipe, ["VER009"]), (_unfitting, ["VER009"]), (_other_version, ["VER014"]), (_no_json, [])],
)
def test_a_record_that_cannot_be_followed_leaves_a_comparison(
    tmp_path: Path, change: Callable[[Path], None], codes: list[str]
) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m", RECIPES["W8A8 with head"])
    change(tmp_path / "m")
    found, findings = prove(tmp_path / "m", reference)
    assert (found.recomputed, len(found.modules), [item.code for item in findings]) == (False, 15, codes)


def test_an_edited_quantization_config_is_noticed(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m", RECIPES["W8A8 with head"])
    do.targets("Linear")(tmp_path / "m")
    assert [item.code for item in prove(tmp_path / "m", reference)[1]] == ["VER012"]
