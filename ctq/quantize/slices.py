"""Rows of a weight out of the tensor that holds it: read as they lie, or turned where it is stored transposed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctq.checkpoint.weight_slice import rows_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from ctq.checkpoint.weight_slice import WeightSlice

    Read = Callable[[memoryview, int], None]

PANEL_BYTES = 8 * 1024 * 1024
"""Bytes of a transposed weight that are held at a time: enough rows that each stored line is read in pieces worth a call."""
_PANEL_ROWS = 64
"""Rows of a panel are a multiple of this."""


class RowReader:
    """Reads rows of one weight; ``read(buffer, offset)`` fills a buffer with its tensor's bytes from an offset on."""

    def __init__(self, weight: WeightSlice, dtype: type[np.generic], read: Read) -> None:
        self._weight = weight
        self._dtype = np.dtype(dtype)
        self._read = read
        self._panel: NDArray[Any] = np.empty((weight.columns, 0), dtype)
        self._first = 0

    def fill(self, rows: NDArray[Any], first: int) -> None:
        """Fill ``rows [n, columns]`` with the raw bits of the rows from ``first`` on.

        Raises:
            OSError: reading fails.
            EOFError: the file ends early.

        """
        if self._weight.stride is None:
            begin = self._weight.start + first * self._weight.columns
            self._read(rows.data.cast("B"), begin * self._dtype.itemsize)
            return
        done = 0
        while done < len(rows):
            place = first + done - self._first
            if not 0 <= place < self._panel.shape[1]:
                self._load(first + done)
                continue
            count = min(len(rows) - done, self._panel.shape[1] - place)
            rows[done : done + count] = self._panel[:, place : place + count].T
            done += count

    def _load(self, first: int) -> None:
        """Read a panel: some of every stored line, from row ``first`` on."""
        weight, size = self._weight, self._dtype.itemsize
        wanted = rows_within(PANEL_BYTES, weight.columns * size, multiple=_PANEL_ROWS)
        count = min(weight.rows - first, wanted)
        if self._panel.shape[1] != count:
            self._panel = np.empty((weight.columns, count), self._dtype)
        self._first = first
        for column, line in enumerate(self._panel):
            self._read(line.data.cast("B"), (weight.start + column * (weight.stride or 0) + first) * size)
