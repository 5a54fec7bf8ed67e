"""Ranges of a local checkpoint's tensors read into memory that the caller owns; nothing is mapped, no tensor is read whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ctq.checkpoint.open_files import OpenFiles
from ctq.checkpoint.reading import read_into
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.header import TensorInfo

_CHUNK = 1024 * 1024


class TensorBytes:
    """The tensors of one checkpoint by name; a few shards are open at a time. Threads may share it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        assert isinstance(checkpoint.source, LocalFolder), "only a local checkpoint's bytes are read"
        self.checkpoint = checkpoint
        self._folder = checkpoint.source.path
        self._files = OpenFiles(self._folder, os.O_RDONLY)

    def __enter__(self) -> TensorBytes:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def __getitem__(self, name: str) -> TensorInfo:
        return self.checkpoint.tensors[name]

    def read(self, name: str, target: memoryview, offset: int = 0) -> None:
        """Fill ``target`` (bytes) with the tensor's data from ``offset`` on.

        Raises:
            CheckpointError: the file cannot be read, or ends early.

        """
        shard = self.checkpoint.shard_of[name]
        place = self.checkpoint.headers[shard].data_start + self.checkpoint.tensors[name].start + offset
        try:
            with self._files.lease([shard]) as files:
                read_into(files[shard], target, place)
        except OSError as error:
            raise CheckpointError(f"{self._folder / shard}: {error.strerror}") from error
        except EOFError as error:
            raise CheckpointError(f"{self._folder / shard}: ended early: it changed while it was read") from error


def first_difference(
    left: tuple[TensorBytes, str], right: tuple[TensorBytes, str], *, start: int = 0, stop: int | None = None
) -> int | None:
    """Return the offset of the first byte in ``[start, stop)`` in which two tensors of equal size differ, or None.

    Two megabytes are held at a time.
    """
    end = left[0][left[1]].nbytes if stop is None else stop
    size = max(0, min(_CHUNK, end - start))
    first, second = bytearray(size), bytearray(size)
    for place in range(start, end, _CHUNK):
        length = min(_CHUNK, end - place)
        if length < len(first):
            first, second = bytearray(length), bytearray(length)
        left[0].read(left[1], memoryview(first), place)
        right[0].read(right[1], memoryview(second), place)
        if first != second:
            return place + _first(first, second, length)
    return None


def _first(left: bytearray, right: bytearray, length: int) -> int:
    """Halve the range that holds the first difference until it is one byte."""
    low, high = 0, length
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if left[low:middle] != right[low:middle] else (middle, high)
    return low
