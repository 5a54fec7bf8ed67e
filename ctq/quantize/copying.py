"""Copying byte ranges between files, in the kernel where that moves no bytes."""

from __future__ import annotations

import errno
import os

from ctq.checkpoint.reading import read_into

_FALL_BACK = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})
_CHUNK = 1024 * 1024
PAGE_BYTES = 4096
"""What filesystems work in."""
_NO_DISK = 0
"""The major number of devices that are none: network and memory filesystems, and those that pool disks."""


def copy_range(source: int, target: int, *, source_offset: int, target_offset: int, nbytes: int) -> None:
    """Copy ``nbytes`` from one open file to another.

    ``copy_file_range`` lets a filesystem share blocks, or a server copy them. Where it would only move them through memory, a
    page at a time, and where it cannot or copies nothing (as on some network filesystems), larger reads and writes are faster.

    Raises:
        OSError: reading or writing fails.
        EOFError: the source ends early.

    """
    helps = _may_save_moving(target, source_offset, target_offset)
    done = _in_kernel(source, target, source_offset, target_offset, nbytes) if helps else 0
    buffer = memoryview(bytearray(min(_CHUNK, nbytes - done)))
    while done < nbytes:
        piece = buffer[: min(nbytes - done, _CHUNK - (target_offset + done) % PAGE_BYTES)]
        read_into(source, piece, source_offset + done)
        write_fully(target, piece, target_offset + done)
        done += len(piece)


def _may_save_moving(target: int, source_offset: int, target_offset: int) -> bool:
    """Tell whether the kernel may copy without moving bytes: whole blocks, or on a filesystem that is no disk of this machine's."""
    return (source_offset - target_offset) % PAGE_BYTES == 0 or os.major(os.fstat(target).st_dev) == _NO_DISK


def _in_kernel(source: int, target: int, source_offset: int, target_offset: int, nbytes: int) -> int:
    done = 0
    if not hasattr(os, "copy_file_range"):
        return done
    try:
        while done < nbytes:
            copied = os.copy_file_range(source, target, nbytes - done, source_offset + done, target_offset + done)
            if copied == 0:
                break
            done += copied
    except OSError as error:
        if error.errno not in _FALL_BACK:
            raise
    return done


def write_fully(target: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset``; a single ``pwrite`` may write less (2 GiB at most on Linux)."""
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(target, view, offset)
        offset += written
        view = view[written:]
