"""Weights read from raw bits of any source dtype, and the constants of that dtype: compiled, chosen by the type of the pointer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from ctq.kernels.formats import FORMATS
from ctq.kernels.primitives import (
    as_bits,
    as_float,
    as_pointee,
    as_signed,
    as_unsigned,
    chosen_for,
    inlined,
    peek,
)

EXPONENT_SHIFT = np.uint32(112 << 23)  # between the biases of half and single precision


def _widen(bits: Any) -> Any:
    """Return the float32 value of a weight's bits (a F16 infinity becomes a number above the largest F16)."""
    raise NotImplementedError


def _widen_bf16(bits: Any) -> Any:
    return as_float(np.uint32(np.uint32(bits) << np.uint32(16)))


def _widen_f16(bits: Any) -> Any:
    # Not LLVM's own conversion: on a target without F16C that calls a function that is not there.
    magnitude = np.uint32(np.uint32(bits) & np.uint32(0x7FFF))
    sign = np.uint32((np.uint32(bits) & np.uint32(0x8000)) << np.uint32(16))
    subnormal = as_bits(np.float32(np.int32(magnitude)) * np.float32(2.0**-24))
    normal = np.uint32((magnitude << np.uint32(13)) + EXPONENT_SHIFT)
    return as_float(np.uint32((subnormal if magnitude < np.uint32(0x400) else normal) | sign))


def _widen_f32(bits: Any) -> Any:
    return as_float(bits)


_WIDEN: dict[str, Callable[[Any], Any]] = {"BF16": _widen_bf16, "F16": _widen_f16, "F32": _widen_f32}
_BY_TYPE = {getattr(types, FORMATS[dtype].word): dtype for dtype in _WIDEN}


@chosen_for(_widen)
def _choose_widening(bits: Any) -> Any:
    return _WIDEN[_BY_TYPE[bits]]


def _constant(value: Any) -> Callable[[Any], Any]:
    """Return a function of weights, whose type has chosen, that gives a value."""

    def constant(weights: Any) -> Any:  # noqa: ARG001
        return value

    return constant


def largest_of(weights: Any) -> Any:
    """Return the largest finite number of the weights' dtype, as a float32."""
    raise NotImplementedError


@chosen_for(largest_of)
def _choose_largest(weights: Any) -> Any:
    return _constant(np.float32(FORMATS[_BY_TYPE[weights.dtype]].largest))


def scale_format(weights: Any) -> Any:
    """Return how scales of the weights' dtype are rounded and stored: dropped, normal, grid, bias and shift of its format."""
    raise NotImplementedError


@chosen_for(scale_format)
def _choose_format(weights: Any) -> Any:
    form = FORMATS[_BY_TYPE[weights.dtype]]
    rounding = (np.uint32(form.dropped), np.float32(form.normal), np.float32(form.grid))
    return _constant((*rounding, np.uint32(form.bias), np.uint32(form.shift)))


@inlined
def load(weights: Any, index: Any) -> Any:
    """Return weight ``index`` as a float32."""
    return _widen(peek(weights, index))


@inlined
def extremes(weights: Any, count: Any) -> Any:
    """Return the weights of least and greatest bits; when all are of one sign, the lower one is meaningless.

    Bits compare as integers: the greatest signed one is the largest weight, the greatest unsigned one the most
    negative. So this loop converts nothing, and whatever is not finite shows in the result.
    """
    top, bottom = as_signed(peek(weights, 0)), as_unsigned(peek(weights, 0))
    for index in range(count):
        bits = peek(weights, index)
        top = max(top, as_signed(bits))
        bottom = max(bottom, as_unsigned(bits))
    return _widen(as_pointee(bottom, weights)), _widen(as_pointee(top, weights))


@inlined
def count_nonfinite(weights: Any, count: Any, largest: Any) -> Any:
    """Return how many weights are not finite, and the index of the first of them."""
    found, first = 0, -1
    for index in range(count):
        if not abs(load(weights, index)) <= largest:
            first = index if found == 0 else first
            found += 1
    return found, first
