"""Bytes of an open file read into memory that the caller owns, all that were asked for."""

from __future__ import annotations

import os


def read_into(source: int, buffer: memoryview, offset: int) -> None:
    """Fill ``buffer`` from ``offset`` on.

    Raises:
        OSError: reading fails.
        EOFError: the file ends early.

    """
    view = buffer
    while view:
        count = os.preadv(source, [view], offset)
        if count == 0:
            raise EOFError
        offset += count
        view = view[count:]
