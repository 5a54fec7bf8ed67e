"""Consecutive bytes on their way into a file: gathered, and written in large pieces that end where pages end.

A filesystem works in pages. Pieces that begin and end inside pages cost it half as much again as whole ones, and small pieces
more than large ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctq.quantize.copying import PAGE_BYTES, write_fully

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECE_BYTES = 512 * 1024
"""Bytes of a piece: by then a write costs by the byte alone, and they are still in a core's second-level cache."""


class PagedWriter:
    """Writes ``nbytes`` bytes from ``offset`` of an open file on, which come in steps of at most ``step`` bytes."""

    def __init__(self, target: int, offset: int, *, nbytes: int, step: int) -> None:
        self._target = target
        self._offset = offset
        self._buffer = np.empty(min(nbytes, PIECE_BYTES + step), np.uint8)
        self._filled = 0

    def room(self, nbytes: int) -> NDArray[Any]:
        """Return the bytes to be filled next; ``took`` them before asking for more."""
        return self._buffer[self._filled : self._filled + nbytes]

    def took(self, nbytes: int) -> None:
        """Count the next ``nbytes`` as filled, and write what makes a piece."""
        self._filled += nbytes
        if self._filled >= PIECE_BYTES:
            self._write(self._filled - (self._offset + self._filled) % PAGE_BYTES)

    def finish(self) -> None:
        """Write what is left."""
        self._write(self._filled)

    def _write(self, nbytes: int) -> None:
        write_fully(self._target, self._buffer[:nbytes].data, self._offset)
        left = self._filled - nbytes
        self._buffer[:left] = self._buffer[nbytes : self._filled]
        self._offset, self._filled = self._offset + nbytes, left
