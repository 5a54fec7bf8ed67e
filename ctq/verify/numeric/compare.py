"""One quantized weight against its original: how far every value is from the one that it stands for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np

from ctq.checkpoint.values import floats
from ctq.kernels.compare import compare_block
from ctq.kernels.stats import CompareStats, sqnr_db
from ctq.recipe.packing import offset
from ctq.verify.numeric.blocks import BlockReader, rows_in_block
from ctq.verify.numeric.decode import compare_floats, dequantized
from ctq.verify.numeric.result import WorstRow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.kernels.spec import SourceDtype
    from ctq.verify.numeric.pairs import QuantizedPair
    from ctq.verify.tensor_bytes import TensorBytes

_KERNEL_BITS = 8


def compare_rows(
    pair: QuantizedPair, result: TensorBytes, reference: TensorBytes, *, start: int, stop: int
) -> CompareStats:
    """Compare the rows ``[start, stop)`` of a weight with the original's; ``start`` is a multiple of eight.

    Raises:
        CheckpointError: a file cannot be read.

    """
    reader = BlockReader(pair, result, reference)
    step = rows_in_block(pair)
    stats = CompareStats()
    for first in range(start, stop, step):
        stats += _compare_block(pair, reader, first, min(first + step, stop))
    return stats


def worst_rows(pair: QuantizedPair, result: TensorBytes, reference: TensorBytes, *, count: int = 3) -> list[WorstRow]:
    """Return the rows of a weight with the lowest signal to quantization noise ratio; slow, so only for what is named."""
    reader = BlockReader(pair, result, reference)
    step = rows_in_block(pair)
    rows = [
        row for first in range(0, pair.rows, step) for row in _rows(pair, reader, first, min(first + step, pair.rows))
    ]
    return sorted(rows, key=lambda row: -math.inf if math.isnan(row.sqnr_db) else row.sqnr_db)[:count]


def _compare_block(pair: QuantizedPair, reader: BlockReader, start: int, stop: int) -> CompareStats:
    scale = reader.scale(start, stop)
    raw, values, zero = reader.original(start, stop), reader.values(start, stop), reader.zero_point(start, stop)
    if pair.bits == _KERNEL_BITS and pair.form != "float8":
        if zero is not None and pair.form == "packed":
            zero = zero.astype(np.int16) - offset(_KERNEL_BITS)
        dtype = cast("SourceDtype", pair.reference.dtype)
        return compare_block(raw, dtype, values=values, scale=scale, zero_point=zero).starting_at(start)
    original = floats(raw, pair.reference.dtype)
    # A damaged scale may be anything: what it makes of the weights is the finding.
    with np.errstate(over="ignore", invalid="ignore"):
        return compare_floats(original, dequantized(pair, values, scale, zero), scale).starting_at(start)


def _rows(pair: QuantizedPair, reader: BlockReader, start: int, stop: int) -> Iterator[WorstRow]:
    scale = reader.scale(start, stop)
    original = floats(reader.original(start, stop), pair.reference.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        restored = dequantized(pair, reader.values(start, stop), scale, reader.zero_point(start, stop))
        signal = np.square(original, dtype=np.float64).sum(1)
        noise = np.square((original - restored).astype(np.float64)).sum(1)
    for row in range(stop - start):
        yield WorstRow(pair.module, start + row, sqnr_db(float(signal[row]), float(noise[row])))
