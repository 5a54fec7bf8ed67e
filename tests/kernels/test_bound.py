"""The arithmetic, against exact rational numbers: scales, rounding, and the half-step bound for every weight."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from raw_weights import DTYPES, TORCH, gaussian, tied_bits, to_bits, to_floats, to_tensor, weights

from ctq.kernels.quantize import BlockOutput, allocate_output, quantize_block
from ctq.kernels.spec import KernelSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = float(np.finfo(np.float32).max)


def quantized(bits: NDArray[Any], spec: KernelSpec) -> BlockOutput:
    out = allocate_output(spec, *bits.shape)
    assert quantize_block(bits, spec, out).nonfinite == 0
    return out


def half_step_errors(bits: NDArray[Any], spec: KernelSpec, out: BlockOutput) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return |w - (q - z) * scale| and scale / 2, computed in float32 as the contract says."""
    rows, groups = out.scale.shape
    scale = to_floats(out.scale, spec.dtype)[..., None]
    zero = np.zeros_like(scale) if out.zero_point is None else out.zero_point.astype(np.float32)[..., None]
    values = out.values.reshape(rows, groups, -1).astype(np.float32)
    weight = to_floats(bits, spec.dtype).reshape(values.shape)
    with np.errstate(over="raise", invalid="raise"):
        return np.abs(weight - (values - zero) * scale), np.broadcast_to(scale / np.float32(2), values.shape)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_every_symmetric_weight_is_within_half_a_step(dtype: str, data: st.DataObject) -> None:
    bits = data.draw(weights(dtype))
    spec = KernelSpec(dtype)
    error, half = half_step_errors(bits, spec, quantized(bits, spec))
    assert (error <= half).all()


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_every_asymmetric_weight_is_within_half_a_step(dtype: str, data: st.DataObject) -> None:
    bits = data.draw(weights(dtype))
    if dtype == "F32":  # at the end of its own range nothing is left for a product to be rounded up to
        assume(np.abs(to_floats(bits, dtype)).max() < LARGEST * 0.99)
    spec = KernelSpec(dtype, symmetric=False)
    error, half = half_step_errors(bits, spec, quantized(bits, spec))
    assert (error <= half).all()


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_values_are_the_exact_quotients_rounded_half_to_even(dtype: str, data: st.DataObject) -> None:
    bits = data.draw(weights(dtype))
    out = quantized(bits, KernelSpec(dtype))
    scales = to_floats(out.scale, dtype)[:, 0]
    for row, scale, values in zip(to_floats(bits, dtype), scales, out.values, strict=True):
        lowest = -127 if 128 * Fraction(float(scale)) > Fraction(float(torch.finfo(TORCH[dtype]).max)) else -128
        exact = [round(Fraction(float(weight)) / Fraction(float(scale))) for weight in row]
        assert values.tolist() == [min(max(value, lowest), 127) for value in exact]


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_asymmetric_values_round_quotient_and_zero_point_together(dtype: str, data: st.DataObject) -> None:
    bits = data.draw(weights(dtype))
    assume(np.abs(to_floats(bits, dtype)).max() < LARGEST / 256)
    out = quantized(bits, KernelSpec(dtype, symmetric=False))
    assert out.zero_point is not None
    for row, scale, zero, values in zip(
        to_floats(bits, dtype), to_floats(out.scale, dtype)[:, 0], out.zero_point[:, 0], out.values, strict=True
    ):
        if dtype == "F16" and scale * 255 > 65504:
            continue
        low = Fraction(min(float(row.min()), 0.0)) / Fraction(float(scale))
        assert int(zero) == -128 - round(low)
        exact = [round(Fraction(float(weight)) / Fraction(float(scale)) + int(zero)) for weight in row]
        assert values.tolist() == [min(max(value, -128), 127) for value in exact]


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_scale_is_the_smallest_that_covers_the_row(dtype: str, data: st.DataObject) -> None:
    bits = data.draw(weights(dtype))
    scale = to_tensor(quantized(bits, KernelSpec(dtype)).scale, dtype)
    below = torch.nextafter(scale, torch.zeros_like(scale)).float().numpy()[:, 0]
    floor = 2.0**-24 if dtype == "F16" else 2.0**-126
    for row, stored, smaller in zip(to_floats(bits, dtype), scale.float().numpy()[:, 0], below, strict=True):
        need = Fraction(float(np.abs(row).max())) / Fraction(255, 2)
        assert Fraction(float(stored)) >= need
        assert stored == floor or Fraction(float(smaller)) < need


@given(bits=weights("F32"))
@settings(max_examples=80, deadline=None)
def test_float32_scale_covers_the_row_with_fifteen_digits(bits: NDArray[Any]) -> None:
    stored = quantized(bits, KernelSpec("F32")).scale[:, 0]
    assert not (stored & 0x1FF).any()
    for row, scale in zip(to_floats(bits, "F32"), to_floats(stored, "F32"), strict=True):
        need = Fraction(float(np.abs(row).max())) / Fraction(255, 2)
        assert need <= Fraction(float(scale)) <= max(need * (1 + Fraction(1, 2**14)), Fraction(1, 2**126))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("symmetric", [True, False])
def test_all_zero_rows_have_a_positive_scale_and_zero_values(dtype: str, symmetric: bool) -> None:
    bits = to_bits([[0.0, -0.0, 0.0], [-0.0, -0.0, -0.0]], dtype)
    out = quantized(bits, KernelSpec(dtype, symmetric=symmetric))
    assert (to_floats(out.scale, dtype) > 0).all()
    zero = 0 if out.zero_point is None else out.zero_point
    assert (out.values == zero).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("symmetric", [True, False])
def test_the_largest_numbers_stay_finite_in_every_dtype(dtype: str, symmetric: bool) -> None:
    largest = torch.finfo(TORCH[dtype]).max
    spec = KernelSpec(dtype, symmetric=symmetric)
    for row in ([-largest, largest], [-largest, 0.0], [largest * 0.75, -largest * 0.75]):
        if dtype == "F32":
            row = [value * 0.99 for value in row]
        bits = to_bits([row], dtype)
        error, half = half_step_errors(bits, spec, quantized(bits, spec))
        assert (error <= half).all()


def test_half_precision_weight_that_would_dequantize_to_infinity_takes_the_inner_level() -> None:
    out = quantized(to_bits([[-65280.0, 65280.0]], "F16"), KernelSpec("F16"))
    assert to_floats(out.scale, "F16").tolist() == [[512.0]]
    assert out.values.tolist() == [[-127, 127]]


def test_range_that_float32_would_round_down_onto_a_scale() -> None:
    bits = to_bits([[-199.5, 55.5 + 2.0**-18]], "F32")  # 255 steps of 1, and a little
    spec = KernelSpec("F32", symmetric=False)
    error, half = half_step_errors(bits, spec, quantized(bits, spec))
    assert (error <= half).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_of_a_group_strategy_is_quantized_as_its_groups_are_alone(dtype: str) -> None:
    bits = gaussian(dtype, 6, 96)
    whole = quantized(bits, KernelSpec(dtype, strategy="group", group_size=32))
    for group in range(3):
        columns = slice(group * 32, group * 32 + 32)
        alone = quantized(np.ascontiguousarray(bits[:, columns]), KernelSpec(dtype))
        assert np.array_equal(whole.values[:, columns], alone.values)
        assert np.array_equal(whole.scale[:, [group]], alone.scale)


@given(bits=tied_bits("BF16"))
@settings(max_examples=100, deadline=None)
def test_ties_go_to_the_even_level(bits: NDArray[Any]) -> None:
    out = quantized(bits, KernelSpec("BF16"))
    steps = to_floats(bits, "BF16") / to_floats(out.scale, "BF16")
    halfway = (np.abs(steps) % 1 == 0.5) & (steps < 127.5)
    assert (out.values[halfway] % 2 == 0).all()
