"""Compare a block of stored 8-bit values with the weights they stand for, whoever chose the scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctq.checkpoint.values import RAW_TYPES
from ctq.kernels.calling import address, check_array, find_kernel
from ctq.kernels.spec import SourceDtype
from ctq.kernels.stats import BlockStats, CompareStats, RowStats
from ctq.recipe.packing import offset, words

_BITS = 8
_ARGUMENTS = ("*word", "*uint8", "*float32", "*float32", "*float64", *("int64",) * 5)


def compare_block(
    source: NDArray[Any],
    dtype: SourceDtype,
    *,
    values: NDArray[Any],
    scale: NDArray[np.float32],
    zero_point: NDArray[Any] | None = None,
) -> CompareStats:
    """Measure ``(values - zero_point) * scale``, in float32, against ``source [rows, columns]``, raw bits of ``dtype``.

    ``values`` are int8 ``[rows, columns]`` or packed int32 ``[rows, ceil(columns / 4)]``; ``scale``, and ``zero_point`` as signed
    numbers, are ``[rows, groups]``. A scale that is zero, negative or not finite makes every error an infinite number of
    steps. Groups that hold a weight that is not finite are left out of the sums.

    Raises:
        ValueError: an array has another shape, or the groups do not divide the columns.

    """
    rows, columns = source.shape
    groups = scale.shape[1]
    if groups == 0 or columns % groups:
        raise ValueError(f"{groups} groups do not divide {columns} columns")
    packed = values.dtype == np.int32
    check_array(source, (rows, columns), np.dtype(RAW_TYPES[dtype]).itemsize)
    check_array(values, (rows, words(columns, _BITS) if packed else columns), 4 if packed else 1)
    scales = np.ascontiguousarray(scale, np.float32)
    zeros = np.zeros_like(scales) if zero_point is None else np.ascontiguousarray(zero_point, np.float32)
    check_array(scales, (rows, groups), 4)
    check_array(zeros, (rows, groups), 4)
    if source.size == 0:
        return CompareStats()
    report = np.empty(11)
    find_kernel("compare_rows", dtype, _ARGUMENTS)(
        *map(address, (source, values, scales, zeros, report)),
        *(rows, columns, values.shape[1] * values.itemsize, columns // groups, offset(_BITS) if packed else 0),
    )
    signal, noise, worst, beyond, nonfinite, first, steps, *row = report.tolist()
    block = BlockStats(source.size, signal, noise, worst, int(nonfinite), int(first) if nonfinite else None)
    return CompareStats(block, int(beyond), steps, RowStats(row[0], int(row[1]), row[2], row[3]))
