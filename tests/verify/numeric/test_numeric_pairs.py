"""Tensors paired with the reference's, from headers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import breaking as do
import numpy as np
import pytest
from builders import edit_tensors, from_floats, tiny_checkpoint, tiny_quantized

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.facts.collect import collect_facts
from ctq.verify.numeric.pairs import Pairs, pair_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from raw_safetensors import Raw


def pairs(folder: Path, reference: Path) -> Pairs:
    facts = collect_facts(open_checkpoint(LocalFolder(folder)))
    return pair_tensors(facts, open_checkpoint(LocalFolder(reference)))


@pytest.mark.parametrize(
    ("kind", "form", "bits", "groups"),
    [
        ("w8a8", "int", 8, 1),
        ("w8a8-static", "int", 8, 1),
        ("w8a16", "packed", 8, 1),
        ("w8a16-g32", "packed", 8, 4),
        ("w8a16-asym", "packed", 8, 1),
        ("w4a16", "packed", 4, 1),
        ("fp8", "float8", 8, 1),
    ],
)
def test_every_weight_meets_its_original(tmp_path: Path, kind: str, form: str, bits: int, groups: int) -> None:
    found = pairs(tiny_quantized(tmp_path / "m", kind=kind), tiny_checkpoint(tmp_path / "r"))
    query = next(pair for pair in found.quantized if pair.module == "model.layers.1.self_attn.q_proj")
    assert (query.form, query.bits, query.rows, query.columns, query.groups) == (form, bits, 128, 128, groups)
    assert query.symmetric is (kind != "w8a16-asym")
    assert query.reference.name == "model.layers.1.self_attn.q_proj.weight"
    assert len(found.quantized) == 15
    assert {pair.tensor.name for pair in found.dense} >= {"model.embed_tokens.weight", "model.norm.weight"}
    assert (found.missing, found.unmatched, dict(found.unreadable)) == ((), (), {})
    assert len(found.calibrated) == (15 if kind == "w8a8-static" else 0)


def test_a_head_of_its_own_meets_the_tied_references_embedding(tmp_path: Path) -> None:
    found = pairs(tiny_quantized(tmp_path / "m"), tiny_checkpoint(tmp_path / "r", tied=True))
    head = next(pair for pair in found.quantized if pair.module == "lm_head")
    assert head.reference.name == "model.embed_tokens.weight"
    assert found.missing == ()


def test_what_only_one_of_them_has_is_listed(tmp_path: Path) -> None:
    folder, reference = tiny_quantized(tmp_path / "m"), tiny_checkpoint(tmp_path / "r")
    do.drop("model.norm.weight")(folder)
    do.put("model.extra.weight", do.floats(4, 4))(folder)
    do.put("model.layers.0.self_attn.rotary_emb.inv_freq", do.floats(16))(reference)  # a buffer that models compute
    found = pairs(folder, reference)
    assert found.missing == ("model.norm.weight",)
    assert found.unmatched == ("model.extra.weight",)


def test_a_copy_of_the_embedding_is_not_missed_beside_tied_embeddings(tmp_path: Path) -> None:
    folder, reference = tiny_quantized(tmp_path / "m", head="tied"), tiny_checkpoint(tmp_path / "r", tied=True)

    def copy(tensors: dict[str, Raw]) -> None:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]

    edit_tensors(reference, copy)
    assert pairs(folder, reference).missing == ()
    do.put("lm_head.weight", lambda tensors: from_floats(np.ones((320, 128), np.float32), "BF16"))(reference)
    assert pairs(folder, reference).missing == ("lm_head.weight",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (do.put("lm_head.weight", do.codes("U8", 320, 128)), "a U8 weight is not taken apart here"),
        (do.drop("lm_head.weight_scale"), "has no weight_scale"),
        (do.drop("lm_head.weight"), "has no weight"),
        (do.put("lm_head.weight_g_idx", do.codes("I32", 128)), "groups in an order of their own (weight_g_idx)"),
        (do.put("lm_head.weight", do.codes("I8", 256, 128)), "its shapes do not fit the reference's [320, 128]"),
        (do.put("lm_head.weight_scale", do.floats(320, 3)), "its shapes do not fit"),
        (do.put("lm_head.weight_scale", do.codes("I32", 320, 1)), "its scales or zero points have a dtype"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_apart_is_said(tmp_path: Path, change: do.Change, reason: str) -> None:
    folder = tiny_quantized(tmp_path / "m")
    change(folder)
    found = pairs(folder, tiny_checkpoint(tmp_path / "r"))
    assert found.unreadable["lm_head"].startswith(reason)
    assert "lm_head" not in {pair.module for pair in found.quantized}


def test_other_methods_forms_are_not_claimed(tmp_path: Path) -> None:
    found = pairs(tiny_quantized(tmp_path / "m", kind="nvfp4"), tiny_checkpoint(tmp_path / "r"))
    assert found.quantized == ()
    assert len(found.unreadable) == 15
