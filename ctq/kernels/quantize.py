"""Quantize a block of whole rows: arrays of raw bits in, arrays for the file and statistics out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctq.checkpoint.values import RAW_TYPES
from ctq.kernels.calling import address, check_array, find_kernel
from ctq.kernels.spec import ArrayShape, KernelSpec, block_shape
from ctq.kernels.stats import BlockStats
from ctq.recipe.packing import offset

_ARGUMENTS = (
    *("*word", "*uint8", "*word", "*uint8", "*float32", "*float64"),
    *("int64",) * 8,
)


_ITEM_SIZES = {dtype: np.dtype(numpy_type).itemsize for dtype, numpy_type in RAW_TYPES.items()}
_shape_of = lru_cache(maxsize=64)(block_shape)  # blocks of a weight are alike


@dataclass(frozen=True)
class BlockOutput:
    """The arrays of ``block_shape``, C-contiguous; scales are raw bits of the weight's dtype."""

    values: NDArray[Any]
    scale: NDArray[Any]
    zero_point: NDArray[Any] | None = None


def allocate_output(spec: KernelSpec, rows: int, columns: int) -> BlockOutput:
    """Allocate what quantizing ``rows`` rows fills."""
    shape = block_shape(spec, rows, columns)
    zero_point = None if shape.zero_point is None else _allocate(shape.zero_point)
    return BlockOutput(_allocate(shape.values), _allocate(shape.scale), zero_point)


def quantize_block(source: NDArray[Any], spec: KernelSpec, out: BlockOutput) -> BlockStats:
    """Quantize ``source [rows, columns]``, raw bits of the weight's dtype, into ``out``.

    When ``nonfinite`` of the result is not 0, what stands in ``out`` is worthless. Packed zero points hold four rows in
    a word: such blocks start at a multiple of four rows of the weight. Raises ValueError for arrays of other shapes.
    """
    rows, columns = source.shape
    _check(source, spec, out)
    if source.size == 0:
        return BlockStats()
    values = out.values.view(np.uint8)
    if values.shape[1] > columns:
        values[:, columns:] = 0
    if out.zero_point is not None and rows % spec.values_per_word:
        out.zero_point[-1] = 0
    plan, report = np.empty((out.scale.shape[1], 4), np.float32), np.empty(5)
    find_kernel("quantize_rows", spec.dtype, _ARGUMENTS)(
        *map(address, (source, values, out.scale, out.zero_point, plan, report)),
        *(rows, columns, values.shape[1], spec.group_size or columns, spec.values_per_word),
        *(spec.symmetric, offset(spec.num_bits) if spec.packed else 0, spec.observer == "mse"),
    )
    signal, noise, worst, nonfinite, first = report.tolist()
    return BlockStats(source.size, signal, noise, worst, int(nonfinite), int(first) if nonfinite else None)


def _check(source: NDArray[Any], spec: KernelSpec, out: BlockOutput) -> None:
    rows, columns = source.shape
    shape = _shape_of(spec, rows, columns)
    check_array(source, (rows, columns), _ITEM_SIZES[spec.dtype])
    for wanted, array in ((shape.values, out.values), (shape.scale, out.scale), (shape.zero_point, out.zero_point)):
        if (wanted is None) != (array is None):
            raise ValueError("zero points go with asymmetric quantization, and with that alone")
        if wanted is not None and array is not None:
            check_array(array, wanted.shape, _ITEM_SIZES[wanted.dtype])


def _allocate(array: ArrayShape) -> NDArray[Any]:
    return np.empty(array.shape, RAW_TYPES[array.dtype])
