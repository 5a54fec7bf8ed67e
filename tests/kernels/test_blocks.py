"""Blocks and their statistics: shapes, refusals, sums, weights that are not finite, threads and determinism."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from raw_weights import DTYPES, gaussian, to_bits, to_floats

from ctq.kernels.quantize import BlockOutput, allocate_output, quantize_block
from ctq.kernels.spec import ArrayShape, KernelSpec, block_shape
from ctq.kernels.stats import BlockStats

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPECS = [
    KernelSpec("BF16"),
    KernelSpec("F16", "group", 64, packed=True),
    KernelSpec("F32", "group", 32, symmetric=False, packed=True),
    KernelSpec("BF16", observer="mse"),
    KernelSpec("F16", symmetric=False, observer="mse"),
]


def run(bits: NDArray[Any], spec: KernelSpec) -> tuple[BlockOutput, BlockStats]:
    out = allocate_output(spec, *bits.shape)
    return out, quantize_block(bits, spec, out)


def contents(out: BlockOutput) -> list[bytes]:
    return [array.tobytes() for array in (out.values, out.scale, out.zero_point) if array is not None]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_blocks_in_threads_give_the_bytes_of_the_whole(spec: KernelSpec) -> None:
    bits = gaussian(spec.dtype, 64, 256)
    whole, stats = run(bits, spec)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda start: run(bits[start : start + 8], spec), range(0, 64, 8)))
    joined = [b"".join(pieces) for pieces in zip(*(contents(out) for out, _ in parts), strict=True)]
    assert joined == contents(whole)
    total = reduce(add, (part for _, part in parts))
    assert (total.weights, total.largest_error_steps) == (stats.weights, stats.largest_error_steps)
    assert math.isclose(total.signal, stats.signal, rel_tol=1e-6)
    assert math.isclose(total.noise, stats.noise, rel_tol=1e-6)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_second_run_gives_the_same_bytes_and_statistics(spec: KernelSpec) -> None:
    bits = gaussian(spec.dtype, 32, 512, seed=3)
    (first, first_stats), (second, second_stats) = run(bits, spec), run(bits, spec)
    assert contents(first) == contents(second)
    assert first_stats == second_stats


@pytest.mark.parametrize("dtype", DTYPES)
def test_statistics_are_those_of_the_stored_values(dtype: str) -> None:
    bits = gaussian(dtype, 16, 1024)
    out, stats = run(bits, KernelSpec(dtype))
    weight = to_floats(bits, dtype).astype(np.float64)
    scale = to_floats(out.scale, dtype).astype(np.float64)
    error = weight - out.values * scale
    assert math.isclose(stats.signal, (weight**2).sum(), rel_tol=1e-5)
    assert math.isclose(stats.noise, (error**2).sum(), rel_tol=1e-5)
    assert math.isclose(stats.largest_error_steps, (np.abs(error) / scale).max(), rel_tol=1e-4)
    assert math.isclose(stats.sqnr_db, 10 * math.log10((weight**2).sum() / (error**2).sum()), abs_tol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("exponent", [-100, 100])
def test_statistics_survive_weights_whose_squares_do_not_fit_float32(dtype: str, exponent: int) -> None:
    if dtype == "F16":
        exponent = -14 if exponent < 0 else 14
    bits = to_bits(np.ldexp(np.random.default_rng(0).uniform(-1, 1, (4, 512)), exponent), dtype)
    _, stats = run(bits, KernelSpec(dtype))
    signal = (to_floats(bits, dtype).astype(np.float64) ** 2).sum()
    assert math.isclose(stats.signal, signal, rel_tol=1e-5)
    assert 30 < stats.sqnr_db < 60


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_counted_and_the_first_is_located(spec: KernelSpec, bad: float) -> None:
    values = np.random.default_rng(0).standard_normal((12, 128)).astype(np.float32)
    values[5, 70] = values[5, 99] = values[11, 0] = bad
    bits = to_bits(values, spec.dtype)
    _, stats = run(bits, spec)
    assert (stats.nonfinite, stats.first_nonfinite) == (3, 5 * 128 + 70)
    halves = run(bits[:4], spec)[1] + run(bits[4:], spec)[1]
    assert (halves.nonfinite, halves.first_nonfinite) == (3, 5 * 128 + 70)


@pytest.mark.parametrize("dtype", DTYPES)
def test_negative_nan_is_not_finite(dtype: str) -> None:
    bits = gaussian(dtype, 2, 8)
    bits[1, 3] = np.iinfo(bits.dtype).max  # all bits set: a NaN with its sign
    assert run(bits, KernelSpec(dtype))[1].first_nonfinite == 11


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 8), (3, 0), (1, 1), (5, 1), (1, 3)])
def test_small_and_empty_blocks(dtype: str, shape: tuple[int, int]) -> None:
    for spec in (KernelSpec(dtype), KernelSpec(dtype, symmetric=False, packed=True)):
        out, stats = run(gaussian(dtype, *shape), spec)
        assert stats.weights == shape[0] * shape[1]
        assert out.scale.shape == (shape[0], 1)


def test_weights_may_be_read_only() -> None:
    bits = np.frombuffer(gaussian("BF16", 2, 8).tobytes(), np.uint16).reshape(2, 8)
    assert run(bits, KernelSpec("BF16"))[1].weights == 16


def test_sums_without_noise_or_without_weights() -> None:
    assert BlockStats().sqnr_db == math.inf
    assert BlockStats(1, 0.0, 1.0).sqnr_db == -math.inf
    assert BlockStats() + BlockStats(4, 2.0, 1.0, 0.5, 1, 2) == BlockStats(4, 2.0, 1.0, 0.5, 1, 2)
    assert (BlockStats(6) + BlockStats(4, nonfinite=1, first_nonfinite=2)).first_nonfinite == 8


def test_shapes_of_a_packed_asymmetric_block() -> None:
    shape = block_shape(KernelSpec("BF16", "group", 32, symmetric=False, packed=True), 6, 64)
    assert shape.values == ArrayShape("I32", (6, 16))
    assert shape.scale == ArrayShape("BF16", (6, 2))
    assert shape.zero_point == ArrayShape("I32", (2, 2))


@pytest.mark.parametrize(
    "arguments",
    [{"num_bits": 4}, {"strategy": "group"}, {"group_size": 32}, {"strategy": "group", "group_size": 0}],
    ids=str,
)
def test_specs_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"bits|group"):
        KernelSpec("BF16", **arguments)


def test_a_group_size_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="group size 32 does not divide 48 columns"):
        allocate_output(KernelSpec("BF16", "group", 32), 2, 48)


@pytest.mark.parametrize("which", ["rows", "type", "stride", "missing zero point", "needless zero point"])
def test_arrays_that_a_kernel_would_overrun_are_refused(which: str) -> None:
    bits = gaussian("BF16", 4, 16)
    spec = KernelSpec("BF16", symmetric=which != "missing zero point")
    out = allocate_output(KernelSpec("BF16"), 3 if which == "rows" else 4, 16)
    if which == "type":
        bits = bits.astype(np.uint32)
    elif which == "stride":
        out = BlockOutput(np.empty((4, 32), np.int8)[:, ::2], out.scale)
    elif which == "needless zero point":
        out = BlockOutput(out.values, out.scale, np.empty((4, 1), np.int8))
    with pytest.raises(ValueError, match=r"contiguous array|zero points"):
        quantize_block(bits, spec, out)
