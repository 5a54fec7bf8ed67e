"""Getting written data onto the disk: begun early and without waiting, finished before a result takes its name.

A rename may reach the disk before the data of the files that it names; after a power loss the output would then be a model of
zeros. So every file is synced first. Telling the kernel to begin writing as soon as a range is done spreads that over the
run, so that little is left to wait for at its end.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SYNC_FILE_RANGE_WRITE = 2


def begin_writeback(descriptor: int, offset: int, nbytes: int) -> None:
    """Ask the kernel to start writing a range to disk; a hint, so that it changes nothing where there is no such call."""
    call = _sync_file_range()
    if call is not None:
        call(descriptor, offset, nbytes, _SYNC_FILE_RANGE_WRITE)


def sync_tree(folder: Path) -> None:
    """Wait until every file below ``folder``, and its entries, are on disk.

    Raises:
        OSError: the disk could not take it.

    """
    for root, _, names in os.walk(folder):
        for name in names:
            _sync(os.path.join(root, name))  # noqa: PTH118  # os.walk gives strings
        _sync(root)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@lru_cache(maxsize=1)
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    try:
        call = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    return call
