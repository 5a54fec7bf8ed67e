"""Experts that lie together in one tensor: taken apart, they are quantized as if they had always lain apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import Raw, all_tensors, edit_tensors, from_floats, write_folder
from hypothesis import given
from hypothesis import strategies as st
from quantizing import plan_of, quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.checkpoint.weight_slice import WeightSlice
from ctq.errors import PlanError
from ctq.inspect.facts.collect import collect_facts
from ctq.quantize import slices
from ctq.quantize.report import module_counts
from ctq.quantize.slices import RowReader
from ctq.recipe.recipe import BodyGroup, Recipe, default_body
from ctq.recipe.schemes import SCHEMES, variant
from ctq.verify.numeric.proof import prove_weights
from ctq.verify.request import Limits

CheckpointFactory = Callable[..., Path]

FAMILIES = ["granite-moe", "llama4-text", "qwen3-vl-moe"]
"""Stored [experts, out, in] under names of their own, [experts, in, out], and [experts, out, in] inside a wrapper."""
RECIPES = {
    "W8A8": Recipe(lm_head=True),
    "W8A16": Recipe(body=default_body(SCHEMES["W8A16"]), lm_head=True),
    "asymmetric": Recipe(body=default_body(variant(SCHEMES["W8A16"], symmetric=False)), lm_head=True),
}


def taken_apart(name: str, tensor: Raw, *, transposed: bool) -> dict[str, Raw]:
    """Split a tensor of all experts by numpy's own indexing."""
    values = tensor.floats.transpose(0, 2, 1) if transposed else tensor.floats
    parent = name.removesuffix(".weight").rpartition(".")[0].removesuffix(".experts")
    parts = ("gate_proj", "up_proj") if name.endswith(("gate_up_proj", "input_linear.weight")) else ("down_proj",)
    return {
        f"{parent}.experts.{expert}.{part}.weight": from_floats(np.ascontiguousarray(half), tensor.dtype)
        for expert, both in enumerate(values)
        for part, half in zip(parts, np.split(both, len(parts)), strict=True)
    }


def apart(source: Path, folder: Path) -> Path:
    """Write a checkpoint with every expert in tensors of its own."""
    tensors: dict[str, Raw] = {}
    for name, tensor in all_tensors(source).items():
        is_experts = len(tensor.shape) == 3 and ("experts" in name or "_linear" in name)
        tensors |= taken_apart(name, tensor, transposed="feed_forward" in name) if is_experts else {name: tensor}
    return write_folder(folder, tensors, json.loads((source / "config.json").read_text()), shards=1)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_result_is_that_of_experts_stored_apart(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, recipe: Recipe
) -> None:
    quantize(checkpoint(family), tmp_path / "together", recipe)
    quantize(apart(checkpoint(family), tmp_path / "split"), tmp_path / "apart", recipe)
    together, separate = all_tensors(tmp_path / "together"), all_tensors(tmp_path / "apart")
    assert sum(".experts.3." in name for name in together) >= 3 * 2
    assert together == separate


@pytest.mark.parametrize("family", FAMILIES)
def test_the_proof_finds_experts_in_the_wrong_place(checkpoint: CheckpointFactory, tmp_path: Path, family: str) -> None:
    source = checkpoint(family)
    quantize(source, tmp_path / "out")
    for record in (True, False):
        if not record:
            (tmp_path / "out/ctq.json").unlink()
        facts = collect_facts(open_checkpoint(LocalFolder(tmp_path / "out")))
        report, findings = prove_weights(facts, open_checkpoint(LocalFolder(source)), limits=Limits())
        assert (report.recomputed, report.missing, report.unmatched, findings) == (record, (), (), ())
    up = next(name for name in all_tensors(tmp_path / "out") if name.endswith("experts.1.up_proj.weight"))
    broken = shutil.copytree(tmp_path / "out", tmp_path / "broken")

    def swap(tensors: dict[str, Raw]) -> None:
        other = up.replace("experts.1.", "experts.2.")
        tensors[up], tensors[other] = tensors[other], tensors[up]

    edit_tensors(broken, swap)
    facts = collect_facts(open_checkpoint(LocalFolder(broken)))
    _, findings = prove_weights(facts, open_checkpoint(LocalFolder(source)), limits=Limits())
    assert {finding.where for finding in findings} >= {up.removesuffix(".weight")}


def test_experts_that_nobody_targets_stay_together(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    source = checkpoint("llama4-text")
    names = {name for name, tensor in all_tensors(source).items() if len(tensor.shape) == 3}
    head_alone = Recipe(body=(BodyGroup(targets=("re:.*o_proj$",), scheme=SCHEMES["W8A8"]),), lm_head=True)
    for number, recipe in enumerate((head_alone, Recipe(lm_head=True, ignore=("re:.*experts.*",)))):
        quantize(source, tmp_path / str(number), recipe)
        assert names <= all_tensors(tmp_path / str(number)).keys()


def test_the_record_counts_experts_that_stay_together_as_the_summary_does(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    source = checkpoint("llama4-text")
    recipe = Recipe(lm_head=True, ignore=("re:.*experts.*",))
    quantize(source, tmp_path / "out", recipe)
    record = json.loads((tmp_path / "out" / "ctq.json").read_text())
    counts = module_counts(plan_of(source, recipe))
    together = sum(len(tensor.shape) == 3 for tensor in all_tensors(source).values())
    assert record["dense_modules"]["all experts of a layer in one 3-D tensor"] == together > 0
    assert sum(record["dense_modules"].values()) == sum(counts["dense"].values())


@pytest.mark.parametrize("ignored", [r"re:.*experts\.0\..*", r"re:.*input_linear$", r"re:.*experts\.\d+\.down_proj$"])
def test_half_of_the_experts_is_refused(checkpoint: CheckpointFactory, ignored: str) -> None:
    with pytest.raises(PlanError, match="fused by engines and must share a scheme"):
        plan_of(checkpoint("granite-moe"), Recipe(ignore=(ignored,)))


def test_experts_in_an_order_that_is_not_known_are_refused_by_name(checkpoint: CheckpointFactory) -> None:
    with pytest.raises(PlanError, match=r"experts\.down_proj: all experts of a layer in one 3-D tensor"):
        plan_of(checkpoint("gpt-oss"), Recipe(lm_head=False))


@given(
    rows=st.integers(1, 300),
    columns=st.integers(1, 40),
    before=st.integers(0, 9),
    beyond=st.integers(0, 9),
    data=st.data(),
)
def test_rows_of_a_transposed_weight(rows: int, columns: int, before: int, beyond: int, data: st.DataObject) -> None:
    stride = before + rows + beyond
    stored = np.arange(columns * stride, dtype=np.uint16).reshape(columns, stride)
    raw = stored.tobytes()

    def read(buffer: memoryview, offset: int) -> None:
        buffer[:] = raw[offset : offset + len(buffer)]

    first = data.draw(st.integers(0, rows - 1))
    block = np.zeros((data.draw(st.integers(1, rows - first)), columns), np.uint16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "PANEL_BYTES", data.draw(st.sampled_from([1, 4096, 1 << 20])))
        RowReader(WeightSlice("t", rows, columns, before, stride), np.uint16, read).fill(block, first)
    assert (block == stored[:, before + first : before + first + len(block)].T).all()
