"""Comparing stored values with their weights, whoever chose the scales."""

from __future__ import annotations

import math

import numpy as np
import pytest
from raw_weights import DTYPES, gaussian, to_bits, to_floats

from ctq.kernels.compare import compare_block
from ctq.kernels.quantize import allocate_output, quantize_block
from ctq.kernels.spec import KernelSpec, Strategy


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("strategy", "group_size"), [("channel", None), ("group", 32)])
def test_own_results_are_within_half_a_step(
    dtype: str, packed: bool, symmetric: bool, strategy: Strategy, group_size: int | None
) -> None:
    bits = gaussian(dtype, 8, 96)
    spec = KernelSpec(dtype, strategy, group_size, symmetric, packed)
    out = allocate_output(spec, 8, 96)
    stats = quantize_block(bits, spec, out)
    zero = None
    if not symmetric:
        plain = KernelSpec(dtype, strategy, group_size, symmetric)
        plain_out = allocate_output(plain, 8, 96)
        quantize_block(bits, plain, plain_out)
        zero = plain_out.zero_point
    found = compare_block(bits, dtype, values=out.values, scale=to_floats(out.scale, dtype), zero_point=zero)
    assert found.beyond == 0
    assert found.block.weights == stats.weights
    assert math.isclose(found.block.signal, stats.signal, rel_tol=1e-5)
    assert math.isclose(found.block.noise, stats.noise, rel_tol=1e-5)
    assert math.isclose(found.block.largest_error_steps, stats.largest_error_steps, rel_tol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_changed_value_is_beyond_half_a_step(dtype: str) -> None:
    bits = gaussian(dtype, 8, 64)
    spec = KernelSpec(dtype)
    out = allocate_output(spec, 8, 64)
    quantize_block(bits, spec, out)
    values = out.values.copy()
    values[2, 5] += 2
    values[7, 63] -= 2
    found = compare_block(bits, dtype, values=values, scale=to_floats(out.scale, dtype))
    assert found.beyond == 2
    assert 1.5 <= found.block.largest_error_steps <= 2.5


def test_sums_are_those_of_a_naive_dequantization() -> None:
    generator = np.random.default_rng(1)
    bits = gaussian("F16", 6, 90)
    values = generator.integers(-128, 128, (6, 90)).astype(np.int8)
    scale = generator.uniform(1e-4, 3e-4, (6, 3)).astype(np.float32)
    zero = generator.integers(-128, 128, (6, 3)).astype(np.int8)
    found = compare_block(bits, "F16", values=values, scale=scale, zero_point=zero)
    levels = values.reshape(6, 3, 30).astype(np.float64) - zero[..., None]
    weight = to_floats(bits, "F16").reshape(6, 3, 30).astype(np.float64)
    error = weight - levels * scale[..., None]
    assert math.isclose(found.block.signal, (weight**2).sum(), rel_tol=1e-5)
    assert math.isclose(found.block.noise, (error**2).sum(), rel_tol=1e-5)
    steps = np.abs(error) / scale[..., None]
    assert math.isclose(found.block.largest_error_steps, steps.max(), rel_tol=1e-5)
    assert found.beyond == np.count_nonzero(steps > 0.50001)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e-38])
def test_a_scale_of_no_use_makes_errors_endless(scale: float) -> None:
    bits = to_bits([[1.0, 2.0, 0.0, 0.0]], "BF16")
    values = np.array([[1, 2, 0, 1]], np.int8)
    found = compare_block(bits, "BF16", values=values, scale=np.array([[scale]], np.float32))
    assert found.block.signal == 5.0
    assert found.beyond >= 2
    assert found.block.largest_error_steps == math.inf


def test_a_zero_scale_of_zero_weights_is_no_error() -> None:
    bits = to_bits([[0.0, 0.0]], "F32")
    found = compare_block(bits, "F32", values=np.zeros((1, 2), np.int8), scale=np.zeros((1, 1), np.float32))
    assert (found.beyond, found.block.noise) == (0, 0.0)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("group_size", [96, 32])
def test_the_row_with_most_noise_in_steps_is_told(packed: bool, group_size: int) -> None:
    bits = gaussian("BF16", 8, 96)
    spec = KernelSpec("BF16", "group", group_size, symmetric=True, packed=packed)
    out = allocate_output(spec, 8, 96)
    quantize_block(bits, spec, out)
    values, scale = out.values.copy(), to_floats(out.scale, "BF16")
    values[[2, 5]] = values[[5, 2]]
    scale[[2, 5]] *= np.array([[1.0], [0.01]], np.float32)  # row 5 is next to nothing, so that its steps are many
    found = compare_block(bits, "BF16", values=values, scale=scale)
    plain = values.view(np.uint8).reshape(8, 96) ^ (128 if packed else 0)
    levels = plain.astype(np.uint8).view(np.int8).reshape(8, -1, group_size).astype(np.float64)
    error = to_floats(bits, "BF16").reshape(levels.shape).astype(np.float64) - levels * scale[..., None]
    steps = np.square(error / scale[..., None]).sum((1, 2))
    row = found.worst_row
    assert row is not None
    assert row.row == 5 == int(np.argmax(steps))
    assert math.isclose(row.steps, steps[5], rel_tol=1e-5)
    assert math.isclose(found.steps, steps.sum(), rel_tol=1e-5)
    assert math.isclose(row.noise, np.square(error)[5].sum(), rel_tol=1e-5)
    assert math.isclose(row.signal, np.square(to_floats(bits, "BF16").astype(np.float64))[5].sum(), rel_tol=1e-5)


def test_weights_that_are_not_finite_are_counted_and_left_out() -> None:
    values = np.ones((3, 64), np.float32)
    values[1, 40] = np.nan
    found = compare_block(
        to_bits(values, "F16"), "F16", values=np.ones((3, 64), np.int8), scale=np.ones((3, 2), np.float32)
    )
    assert (found.block.nonfinite, found.block.first_nonfinite) == (1, 64 + 40)
    assert found.block.signal == 5 * 32


@pytest.mark.parametrize("groups", [0, 5])
def test_groups_that_do_not_divide_are_refused(groups: int) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        compare_block(
            gaussian("BF16", 2, 16), "BF16", values=np.zeros((2, 16), np.int8), scale=np.ones((2, groups), np.float32)
        )


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="contiguous array"):
        compare_block(
            gaussian("BF16", 2, 16), "BF16", values=np.zeros((2, 15), np.int8), scale=np.ones((2, 1), np.float32)
        )
