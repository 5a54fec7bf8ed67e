"""Copying byte ranges between files, in the kernel where it can."""

from __future__ import annotations

import errno
import os

_FALL_BACK = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF})
_CHUNK = 1024 * 1024


def copy_range(source: int, target: int, *, source_offset: int, target_offset: int, nbytes: int) -> None:
    """Copy ``nbytes`` from one open file to another.

    ``copy_file_range`` lets the filesystem share or copy blocks without passing through this process; where the two files'
    filesystems cannot (or it copies nothing, as some network filesystems do), plain reads and writes finish the job.

    Raises:
        OSError: reading or writing fails.
        EOFError: the source ends early.

    """
    done = _in_kernel(source, target, source_offset, target_offset, nbytes)
    while done < nbytes:
        data = os.pread(source, min(_CHUNK, nbytes - done), source_offset + done)
        if not data:
            raise EOFError
        write_fully(target, data, target_offset + done)
        done += len(data)


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
