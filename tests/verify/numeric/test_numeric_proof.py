"""The numeric proof: healthy checkpoints pass it, and every single fault is found and named."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import breaking as do
import numpy as np
import pytest
from builders import all_tensors, edit_tensors, from_floats, tiny_checkpoint, tiny_quantized
from proving import RECIPES, errors, prove
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.facts.collect import collect_facts
from ctq.verify.numeric.proof import prove_weights
from ctq.verify.request import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from raw_safetensors import Raw


UP = "model.layers.1.mlp.up_proj"
GATE = "model.layers.1.mlp.gate_proj"
NORM = "model.norm.weight"


def _swap(first: str, second: str) -> do.Change:
    def change(tensors: dict[str, Raw]) -> None:
        tensors[first], tensors[second] = tensors[second], tensors[first]

    return lambda folder: edit_tensors(folder, change)


def _permute_rows(name: str) -> do.Change:
    def change(tensors: dict[str, Raw]) -> None:
        raw = tensors[name]
        size = len(raw.data) // raw.shape[0]
        tensors[name] = replace(raw, data=raw.data[-size:] + raw.data[:-size])

    return lambda folder: edit_tensors(folder, change)


def _zeros(name: str) -> do.Change:
    def change(tensors: dict[str, Raw]) -> None:
        tensors[name] = replace(tensors[name], data=bytes(len(tensors[name].data)))

    return lambda folder: edit_tensors(folder, change)


FAULTS: dict[str, tuple[do.Change, dict[str, str]]] = {
    "permuted scales": (_permute_rows(f"{UP}.weight_scale"), {UP: "VER001"}),
    "permuted rows": (_permute_rows(f"{UP}.weight"), {UP: "VER001"}),
    "permuted rows of the head": (_permute_rows("lm_head.weight"), {"lm_head": "VER001"}),
    "swapped layers": (
        do.steps(_swap(f"{UP}.weight", f"{GATE}.weight"), _swap(f"{UP}.weight_scale", f"{GATE}.weight_scale")),
        {UP: "VER001", GATE: "VER001"},
    ),
    "weights of zero": (_zeros(f"{UP}.weight"), {UP: "VER001"}),
    "scales of zero": (_zeros(f"{UP}.weight_scale"), {UP: "VER001"}),
    "a scale that is NaN": (do.one_scale(f"{UP}.weight_scale", float("nan")), {UP: "VER001"}),
    "a scale that is infinite": (do.one_scale(f"{UP}.weight_scale", float("inf")), {UP: "VER001"}),
    "a scale ten times too large": (do.one_scale(f"{UP}.weight_scale", 0.5), {UP: "VER001"}),
    "a dense tensor changed": (_zeros(NORM), {NORM: "VER003"}),
    "a dense tensor of another shape": (do.put(NORM, do.floats(64)), {NORM: "VER003"}),
    "a tensor lost": (do.drop(NORM), {NORM: "VER004"}),
}


@pytest.mark.parametrize("kind", ["w8a8", "w8a16", "w4a16", "fp8"])
@pytest.mark.parametrize(("change", "expected"), FAULTS.values(), ids=FAULTS)
def test_faults_of_other_tools_results_are_found_and_named(
    tmp_path: Path, kind: str, change: do.Change, expected: dict[str, str]
) -> None:
    folder = tiny_quantized(tmp_path / "m", kind=kind)
    if kind in ("w8a16", "w4a16"):
        _as_plain_names(folder, change)
    else:
        change(folder)
    _, findings = prove(folder, tiny_checkpoint(tmp_path / "r"))
    assert errors(findings) == expected


def _as_plain_names(folder: Path, change: do.Change) -> None:
    """Apply a change that speaks of ``weight`` to packed layers."""
    rename = {"weight_packed": "weight", "weight": "weight_packed"}

    def switch(tensors: dict[str, Raw], old: str) -> None:
        for name in [name for name in tensors if name.endswith(f".{old}")]:
            module = name.removesuffix(f".{old}")
            if f"{module}.weight_scale" in tensors:
                tensors[f"{module}.{rename[old]}"] = tensors.pop(name)

    edit_tensors(folder, lambda tensors: switch(tensors, "weight_packed"))
    change(folder)
    edit_tensors(folder, lambda tensors: switch(tensors, "weight"))


@pytest.mark.parametrize(
    "kind", ["w8a8", "w8a8-static", "w8a16", "w8a16-g32", "w8a16-channel", "w8a16-asym", "w4a16", "mixed", "fp8"]
)
def test_healthy_results_of_other_tools_pass(tmp_path: Path, kind: str) -> None:
    found, findings = prove(tiny_quantized(tmp_path / "m", kind=kind), tiny_checkpoint(tmp_path / "r"))
    assert (errors(findings), found.recomputed, found.undecided) == ({}, False, ())
    assert found.dense == 6


def test_the_kernels_and_numpy_see_the_same(tmp_path: Path) -> None:
    """The compiled comparison against numpy's own arithmetic, over every form that kernels read."""
    from ctq.checkpoint.values import floats
    from ctq.verify.numeric.blocks import BlockReader
    from ctq.verify.numeric.compare import compare_rows
    from ctq.verify.numeric.decode import compare_floats, dequantized
    from ctq.verify.numeric.pairs import pair_tensors
    from ctq.verify.tensor_bytes import TensorBytes

    reference = open_checkpoint(LocalFolder(tiny_checkpoint(tmp_path / "r")))
    for kind in ("w8a8", "w8a16-g32", "w8a16-asym"):
        result = open_checkpoint(LocalFolder(tiny_quantized(tmp_path / kind, kind=kind)))
        with TensorBytes(result) as data, TensorBytes(reference) as original:
            for pair in pair_tensors(collect_facts(result), reference).quantized:
                fast = compare_rows(pair, data, original, start=0, stop=pair.rows)
                reader = BlockReader(pair, data, original)
                scale, zero = reader.scale(0, pair.rows), reader.zero_point(0, pair.rows)
                slow = compare_floats(
                    floats(reader.original(0, pair.rows), "BF16"),
                    dequantized(pair, reader.values(0, pair.rows), scale, zero),
                    scale,
                )
                assert (fast.block.weights, fast.beyond, fast.block.nonfinite) == (
                    slow.block.weights,
                    slow.beyond,
                    slow.block.nonfinite,
                )
                assert fast.block.noise == pytest.approx(slow.block.noise, rel=1e-5)
                assert fast.block.signal == pytest.approx(slow.block.signal, rel=1e-5)
                assert fast.block.largest_error_steps == pytest.approx(slow.block.largest_error_steps, rel=1e-5)


def test_the_worst_rows_of_a_bad_weight_are_named(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")

    def change(tensors: dict[str, Raw]) -> None:
        raw = tensors[f"{UP}.weight"]
        data = bytearray(raw.data)
        data[17 * 128 : 18 * 128] = bytes(128)
        data[40 * 128 : 40 * 128 + 64] = bytes(64)
        tensors[f"{UP}.weight"] = replace(raw, data=bytes(data))

    edit_tensors(folder, change)
    found, findings = prove(folder, tiny_checkpoint(tmp_path / "r"))
    assert [(row.module, row.row) for row in found.worst_rows[:2]] == [(UP, 17), (UP, 40)]
    assert found.worst_rows[0].sqnr_db == pytest.approx(0.0)
    assert "worst row 17 (0.0 dB)" in findings[0].message


@pytest.mark.parametrize(("kind", "part"), [("w8a8", "weight"), ("w8a16", "weight_packed")])
def test_a_flipped_bit_in_another_tools_weight_is_named(tmp_path: Path, kind: str, part: str) -> None:
    folder, name = tiny_quantized(tmp_path / "m", kind=kind), f"{UP}.{part}"

    def flip(tensors: dict[str, Raw]) -> None:
        data = bytearray(tensors[name].data)
        data[1000] ^= 0x40
        tensors[name] = replace(tensors[name], data=bytes(data))

    edit_tensors(folder, flip)
    _, findings = prove(folder, tiny_checkpoint(tmp_path / "r"))
    assert [(item.code, item.where) for item in findings] == [("VER020", UP)]


def test_the_least_sqnr_is_an_option(tmp_path: Path) -> None:
    folder, reference = tiny_quantized(tmp_path / "m", kind="w4a16"), tiny_checkpoint(tmp_path / "r")
    assert errors(prove(folder, reference)[1]) == {}
    assert set(errors(prove(folder, reference, Limits(min_sqnr=30.0))[1]).values()) == {"VER001"}


def test_strict_asks_for_half_a_step(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "nearest", RECIPES["W8A8 with head"])
    quantize(reference, tmp_path / "searched", RECIPES["searched scales"])
    strict = Limits(strict=True)
    assert errors(prove(tmp_path / "nearest", reference, strict)[1]) == {}
    assert set(errors(prove(tmp_path / "searched", reference, strict)[1]).values()) == {"VER006"}


def test_dense_tensors_rounded_to_another_dtype_are_noted_not_refused(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r", dtype="F32")
    folder = tiny_quantized(tmp_path / "m")

    def round_all(tensors: dict[str, Raw]) -> None:
        for name, raw in all_tensors(reference).items():
            if name in tensors and tensors[name].dtype == "BF16":
                tensors[name] = from_floats(raw.floats, "BF16")

    edit_tensors(folder, round_all)
    found, findings = prove(folder, reference)
    assert errors(findings) == {}
    assert NORM in found.converted
    do.put(NORM, do.floats(128))(folder)
    assert errors(prove(folder, reference)[1]) == {NORM: "VER003"}


def test_another_reference_is_compared_and_named(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m", RECIPES["W8A8 with head"])
    copy = tiny_checkpoint(tmp_path / "copy", shards=1)  # the same weights in other files
    found, findings = prove(tmp_path / "m", copy)
    assert (found.recomputed, errors(findings), found.undecided) == (False, {}, ())
    assert [item.code for item in findings] == ["VER008"]
    other = tiny_checkpoint(tmp_path / "other", seed=1)  # the same headers over other weights
    found, findings = prove(tmp_path / "m", other)
    assert found.recomputed
    assert {"VER001", "VER002", "VER003"} <= set(errors(findings).values())


def test_a_layer_that_should_have_stayed_dense_is_named(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m", RECIPES["head out"])
    do.int8("model.layers.0.mlp.down_proj", 128, 256)(tmp_path / "m")
    found, findings = prove(tmp_path / "m", reference)
    assert "model.layers.0.mlp.down_proj.weight" in {item.tensor for item in found.differences}
    assert errors(findings)["model.layers.0.mlp.down_proj.weight"] == "VER002"


def test_a_layer_that_should_have_been_quantized_is_named(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m", RECIPES["W8A8 with head"])
    do.steps(do.drop(f"{UP}.weight_scale"), do.put(f"{UP}.weight", do.floats(256, 128)))(tmp_path / "m")
    assert f"{UP}.weight" in errors(prove(tmp_path / "m", reference)[1])


def test_names_that_do_not_meet_leave_the_question_open(tmp_path: Path) -> None:
    folder, reference = tiny_quantized(tmp_path / "m"), tiny_checkpoint(tmp_path / "r")

    def rename(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.startswith("model.layers.1.")]:
            tensors[name.replace("model.", "language_model.model.")] = tensors.pop(name)

    edit_tensors(folder, rename)
    found, findings = prove(folder, reference)
    assert errors(findings) == {}
    assert len(found.undecided) == 1
    assert "language_model.model.layers.1" in found.undecided[0]


def test_forms_that_are_not_taken_apart_leave_the_question_open(tmp_path: Path) -> None:
    found, findings = prove(tiny_quantized(tmp_path / "m", kind="nvfp4"), tiny_checkpoint(tmp_path / "r"))
    assert {item.code for item in findings} == {"VER007", "VER010"}
    assert len(found.undecided) == 1


def test_a_reference_with_nan_is_refused(tmp_path: Path) -> None:
    folder, reference = tiny_quantized(tmp_path / "m"), tiny_checkpoint(tmp_path / "r")
    values = np.full((256, 128), 0.01, np.float32)
    values[3, 7] = np.nan
    do.put(f"{UP}.weight", lambda tensors: from_floats(values, "BF16"))(reference)
    assert errors(prove(folder, reference)[1]) == {UP: "VER013"}


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m", RECIPES["W8A8 with head"])
    code = (
        "import sys; from pathlib import Path\n"
        "from ctq.checkpoint.checkpoint import open_checkpoint; from ctq.checkpoint.source import LocalFolder\n"
        "from ctq.inspect.facts.collect import collect_facts; from ctq.verify.numeric.proof import prove_weights\n"
        "from ctq.verify.request import Limits\n"
        f"facts = collect_facts(open_checkpoint(LocalFolder(Path({str(tmp_path / 'm')!r}))))\n"
        f"report, _ = prove_weights(facts, open_checkpoint(LocalFolder(Path({str(reference)!r}))), limits=Limits())\n"
        "assert report.recomputed\n"
        "print([name for name in ('torch', 'transformers', 'compressed_tensors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("recipe", ["W8A8 with head", "asymmetric"])
def test_memory_does_not_depend_on_the_size_of_a_tensor(tmp_path: Path, recipe: str) -> None:
    reference = tiny_checkpoint(tmp_path / "r", vocab=60_000, layers=1)  # 15 MB each: embedding and head
    quantize(reference, tmp_path / "m", RECIPES[recipe])
    prove(tmp_path / "m", reference)  # what is imported and compiled once does not count
    facts = collect_facts(open_checkpoint(LocalFolder(tmp_path / "m")))
    original = open_checkpoint(LocalFolder(reference))
    tracemalloc.start()
    prove_weights(facts, original, limits=Limits(), workers=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6
