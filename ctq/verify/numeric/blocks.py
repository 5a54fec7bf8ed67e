"""A quantized weight and its original read together, a block of rows at a time, into buffers that are used again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ctq.checkpoint.values import RAW_TYPES, floats
from ctq.checkpoint.weight_slice import rows_within
from ctq.quantize.slices import RowReader
from ctq.recipe.packing import values_per_word
from ctq.verify.numeric.decode import unpacked_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctq.verify.numeric.pairs import QuantizedPair
    from ctq.verify.tensor_bytes import TensorBytes

ROW_MULTIPLE = values_per_word(4)
"""Rows of a block are a multiple of this: none shares a word of packed zero points with another, of 4 or of 8 bits."""
BLOCK_BYTES = 1024 * 1024
"""Bytes of the original in a block, so that it stays in a core's cache."""


def rows_in_block(pair: QuantizedPair) -> int:
    """Return how many rows are compared at a time."""
    return rows_within(BLOCK_BYTES, pair.row_bytes, multiple=ROW_MULTIPLE)


class BlockReader:
    """Reads the rows of one pair; ``original`` and ``values`` are buffers that the next read overwrites."""

    def __init__(self, pair: QuantizedPair, result: TensorBytes, reference: TensorBytes) -> None:
        self._pair = pair
        self._result = result
        dtype = RAW_TYPES[pair.reference.dtype]
        self._reader = RowReader(pair.part, dtype, partial(reference.read, pair.part.tensor))
        weight = pair.parts.get("weight_packed") or pair.parts["weight"]
        rows = min(pair.rows, rows_in_block(pair))
        self._weight = weight.name
        self._original = np.empty((rows, pair.columns), dtype)
        self._values = np.empty((rows, *weight.shape[1:]), RAW_TYPES[weight.dtype])

    def original(self, start: int, stop: int) -> NDArray[Any]:
        """Return the raw bits of the original's rows ``[start, stop)``."""
        rows = self._original[: stop - start]
        if rows.size:
            self._reader.fill(rows, start)
        return rows

    def values(self, start: int, stop: int) -> NDArray[Any]:
        """Return the stored values, packed or not."""
        return self._rows(self._weight, self._values, (start, stop))

    def scale(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return float32 scales ``[rows, groups]``, the one scale of a whole weight repeated."""
        info = self._pair.parts["weight_scale"]
        shape = (1, 1) if self._pair.groups == 0 else (stop - start, self._pair.groups)
        raw = np.empty(shape, RAW_TYPES[info.dtype])
        self._rows(info.name, raw, (0, 1) if self._pair.groups == 0 else (start, stop))
        found = floats(raw, info.dtype)
        return np.broadcast_to(found, (stop - start, 1)) if self._pair.groups == 0 else found

    def zero_point(self, start: int, stop: int) -> NDArray[Any] | None:
        """Return zero points ``[rows, groups]`` in the unit of the stored values, or None; ``start`` begins a word."""
        info = self._pair.parts.get("weight_zero_point")
        if info is None:
            return None
        rows, groups = stop - start, max(1, self._pair.groups)
        if self._pair.groups == 0:
            raw = self._rows(info.name, np.empty((1, 1), RAW_TYPES[info.dtype]), (0, 1))
            return np.broadcast_to(raw, (rows, 1))
        if self._pair.form != "packed":
            raw = np.empty((rows, groups), RAW_TYPES[info.dtype])
            return self._rows(info.name, raw, (start, stop))
        per_word = values_per_word(self._pair.bits)
        words = np.empty((-(-rows // per_word), groups), np.int32)
        self._rows(info.name, words, (start // per_word, start // per_word + len(words)))
        return unpacked_rows(words, self._pair.bits, rows)

    def _rows(self, name: str, buffer: NDArray[Any], rows: tuple[int, int]) -> NDArray[Any]:
        part = buffer[: rows[1] - rows[0]]
        if part.size:
            self._result.read(name, part.data.cast("B"), rows[0] * (part.nbytes // len(part)))
        return part
