"""Room on the disk, taken before anything is written."""

from __future__ import annotations

import ctypes
import errno
import os

_REFUSALS = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM})


def reserve(descriptor: int, nbytes: int) -> None:
    """Give an open file its size, and where the filesystem knows how, its blocks: a full disk shows now, and writing is cheaper.

    Raises:
        OSError: there is no room.

    """
    os.ftruncate(descriptor, nbytes)
    # Not os.posix_fallocate: where the filesystem does not know how, the C library writes to every block instead.
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate64", None)
    if fallocate is None or nbytes == 0:
        return
    while fallocate(descriptor, 0, ctypes.c_int64(0), ctypes.c_int64(nbytes)) != 0:
        number = ctypes.get_errno()
        if number in _REFUSALS:
            return
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
