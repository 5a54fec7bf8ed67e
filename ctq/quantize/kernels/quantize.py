"""Quantize a block of whole rows: arrays of raw bits in, arrays for the file and statistics out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctq.quantize.kernels.formats import FORMATS
from ctq.quantize.kernels.kernel import Kernel
from ctq.quantize.kernels.loading import load_kernel
from ctq.quantize.kernels.spec import ArrayShape, KernelSpec, block_shape
from ctq.quantize.kernels.stats import BlockStats

NUMPY_TYPES: dict[str, type[np.generic]] = {
    "I8": np.int8,
    "I32": np.int32,
    "BF16": np.uint16,
    "F16": np.uint16,
    "F32": np.uint32,
}
"""The numpy types of a block's arrays; floating-point ones are raw bits."""


_COUNTS = ("int64",) * 8
_FORMAT = ("uint32", "float32", "float32", "uint32", "uint32", "float32")


@dataclass(frozen=True)
class BlockOutput:
    """The arrays of `block_shape`, C-contiguous; scales are raw bits of the weight's dtype."""

    values: NDArray[Any]
    scale: NDArray[Any]
    zero_point: NDArray[Any] | None = None


def allocate_output(spec: KernelSpec, rows: int, cols: int) -> BlockOutput:
    """Allocate what quantizing `rows` rows fills."""
    shape = block_shape(spec, rows, cols)
    zero_point = None if shape.zero_point is None else _allocate(shape.zero_point)
    return BlockOutput(_allocate(shape.values), _allocate(shape.scale), zero_point)


def quantize_block(source: NDArray[Any], spec: KernelSpec, out: BlockOutput) -> BlockStats:
    """Quantize `source [rows, cols]`, raw bits of the weight's dtype, into `out`.

    When `nonfinite` of the result is not 0, what stands in `out` is worthless. Packed zero points hold four rows in
    a word: such blocks start at a multiple of four rows of the weight. Raises ValueError for arrays of other shapes.
    """
    rows, cols = source.shape
    _check(out, spec, rows, cols)
    if source.size == 0:
        return BlockStats()
    stacked = spec.values_per_word
    values = out.values.view(np.uint8)
    values[:, cols:] = 0
    if out.zero_point is not None and rows % stacked:
        out.zero_point[-1] = 0
    plan, report = np.empty((out.scale.shape[1], 4), np.float32), np.empty(5)
    form = FORMATS[spec.dtype]
    _kernel(spec.dtype)(
        *(_address(array) for array in (source, values, out.scale, out.zero_point, plan, report)),
        *(rows, cols, values.shape[1], spec.group_size or cols, stacked),
        *(spec.symmetric, 128 if spec.packed else 0, spec.observer == "mse"),
        *(form.dropped, form.normal, form.grid, form.bias, form.shift, form.largest),
    )
    signal, noise, worst, nonfinite, first = report.tolist()
    return BlockStats(source.size, signal, noise, worst, int(nonfinite), int(first) if nonfinite else None)


def _kernel(dtype: str) -> Callable[..., None]:
    word = f"*{FORMATS[dtype].word}"
    pointers = (word, "*uint8", word, "*uint8", "*float32", "*float64")
    return load_kernel(Kernel("quantize_rows", dtype, (*pointers, *_COUNTS, *_FORMAT)))


def _address(array: NDArray[Any] | None) -> int | None:
    if array is None:
        return None
    assert array.flags.c_contiguous, "kernels walk over contiguous rows"
    return array.ctypes.data


def _check(out: BlockOutput, spec: KernelSpec, rows: int, cols: int) -> None:
    shape = block_shape(spec, rows, cols)
    pairs = ((shape.values, out.values), (shape.scale, out.scale), (shape.zero_point, out.zero_point))
    for want, got in pairs:
        if (want is None) != (got is None):
            raise ValueError(f"a zero point array {'without need' if want is None else 'is missing'}")
        if want is not None and got is not None and got.shape != want.shape:
            raise ValueError(f"an output of shape {list(want.shape)} is needed, not {list(got.shape)}")


def _allocate(array: ArrayShape) -> NDArray[Any]:
    return np.empty(array.shape, NUMPY_TYPES[array.dtype])
