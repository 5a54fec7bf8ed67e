"""Weights as raw bits, to and from float32 by way of torch, and the hypothesis strategies that draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

if TYPE_CHECKING:
    from numpy.typing import NDArray

TORCH = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
BITS = {"BF16": np.uint16, "F16": np.uint16, "F32": np.uint32}
EXPONENT = {"BF16": 0x7F80, "F16": 0x7C00, "F32": 0x7F800000}
LARGEST_EXPONENT = {"BF16": 127, "F16": 15, "F32": 127}
SMALLEST_EXPONENT = {"BF16": -133, "F16": -24, "F32": -149}
DTYPES = tuple(TORCH)
_SHARE = st.floats(-1, 1, width=32) | st.just(-1.0) | st.just(1.0) | st.just(0.0)


def to_bits(values: Any, dtype: str) -> NDArray[Any]:
    """Round numbers to a dtype and return its raw bits."""
    tensor = torch.from_numpy(np.array(values, np.float32)).to(TORCH[dtype])
    return tensor.view(torch.int32 if dtype == "F32" else torch.int16).numpy().view(BITS[dtype])


def to_tensor(bits: NDArray[Any], dtype: str) -> torch.Tensor:
    """Return raw bits as a tensor of their dtype."""
    signed = bits.view(np.int32 if dtype == "F32" else np.int16)
    return torch.from_numpy(signed.copy()).view(TORCH[dtype])


def to_floats(bits: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    """Return the float32 values of raw bits."""
    return to_tensor(bits, dtype).float().numpy()


def gaussian(dtype: str, rows: int, cols: int, seed: int = 0) -> NDArray[Any]:
    """Return normally distributed weights of a usual size."""
    return to_bits(np.random.default_rng(seed).standard_normal((rows, cols)) * 0.02, dtype)


def any_bits(dtype: str) -> st.SearchStrategy[NDArray[Any]]:
    """Draw rows of any finite bits at all, of all magnitudes, signed zeros and subnormal numbers among them."""
    shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=24)
    return hnp.arrays(BITS[dtype], shapes).map(lambda bits: _finite(bits, dtype))


def alike_bits(dtype: str) -> st.SearchStrategy[NDArray[Any]]:
    """Draw rows of numbers of about one magnitude, from the smallest of the dtype to the largest."""
    exponents = st.integers(SMALLEST_EXPONENT[dtype] + 2, LARGEST_EXPONENT[dtype])
    shares = hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24), elements=_SHARE)
    return st.builds(lambda share, exponent: to_bits(np.ldexp(share, exponent), dtype), shares, exponents)


def tied_bits(dtype: str) -> st.SearchStrategy[NDArray[Any]]:
    """Draw rows whose weights lie halfway between two levels, with the range that makes the scale a power of two."""
    exponents = st.integers(SMALLEST_EXPONENT[dtype] + 2, LARGEST_EXPONENT[dtype] - 7)
    steps = st.lists(st.integers(-255, 255), min_size=1, max_size=24)

    def build(halves: list[int], exponent: int) -> NDArray[Any]:
        return to_bits(np.ldexp(np.array([[*halves, 255, -255]], np.float64) / 2, exponent), dtype)

    return st.builds(build, steps, exponents)


def weights(dtype: str) -> st.SearchStrategy[NDArray[Any]]:
    """Draw any of these."""
    return any_bits(dtype) | alike_bits(dtype) | tied_bits(dtype)


def _finite(bits: NDArray[Any], dtype: str) -> NDArray[Any]:
    mask = BITS[dtype](EXPONENT[dtype])
    return np.where((bits & mask) == mask, bits & ~mask, bits).astype(BITS[dtype])
