"""The journal of a run: what it was going to do, and which units are done. It is also the lock of the output.

The first line is a JSON object with the plan's fingerprint and the machine's boot; each later line is the number of a finished
unit. A line that was torn by a kill does not count. After another boot the page cache may have been lost, so nothing done
before counts. The lock (``flock``) dies with the process that holds it. Whatever else lies at the journal's place (a link, a pipe,
gigabytes) is not opened as one.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctq.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

_LARGEST = 64 * 1024 * 1024
"""Bytes of a journal: several million units."""
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Journal:
    """An open, locked journal; ``done`` holds the units that an earlier run finished."""

    def __init__(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        """Open or create the journal at ``path``.

        Raises:
            OutputError: another run holds it, or it belongs to another plan.

        """
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        self._lock = threading.Lock()
        try:
            _take_lock(self._file, path)
            self.done = self._continue({**fingerprint, "boot": boot_id()})
        except BaseException:
            os.close(self._file)
            raise

    def mark(self, unit: int) -> None:
        """Record that ``unit`` is done."""
        with self._lock:
            os.write(self._file, b"%d\n" % unit)

    def forget(self) -> None:
        """Count nothing as done: a file that the earlier run wrote is no longer there."""
        first = self._path.read_bytes().split(b"\n", 1)[0] + b"\n"
        os.ftruncate(self._file, len(first))
        os.lseek(self._file, 0, os.SEEK_END)
        self.done = set()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def _continue(self, wanted: dict[str, Any]) -> set[int]:
        found, done = read_journal(self._path)
        if found is not None:
            changed = [key for key in wanted if key != "boot" and found.get(key) != wanted[key]]
            if changed:
                raise OutputError(
                    f"{self._path.parent}: begun with another {' and '.join(changed)}",
                    hint="start over with --force, or repeat the call that began it",
                )
            if found.get("boot") == wanted["boot"]:
                os.lseek(self._file, 0, os.SEEK_END)
                self._end_torn_line()
                return done
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, json.dumps(wanted).encode() + b"\n")
        return set()

    def _end_torn_line(self) -> None:
        """Cut a half-written last line, so that the next number does not join it."""
        raw = self._path.read_bytes()
        end = raw.rfind(b"\n") + 1
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)


def read_journal(path: Path) -> tuple[dict[str, Any] | None, set[int]]:
    """Return the first line's object and the finished units; ``(None, set())`` where nothing usable stands."""
    lines = _read(path).split(b"\n")[:-1]
    try:
        head = json.loads(lines[0])
        done = {_unit(line) for line in lines[1:]}
    except (ValueError, IndexError, RecursionError):
        return None, set()
    return (head, done) if isinstance(head, dict) else (None, set())


def _unit(line: bytes) -> int:
    if not line.isdigit():
        raise ValueError(line)
    return int(line)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the journal at ``path``, if there is one, without changing it.

    Raises:
        OutputError: another run holds it.

    """
    try:
        file = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError:
        yield
        return
    try:
        _take_lock(file, path)
        yield
    finally:
        os.close(file)


def _take_lock(file: int, path: Path) -> None:
    """Lock the open journal, and make sure that it is still the one at ``path``: its folder may just have been replaced."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file), path.stat(follow_symlinks=False)):
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise OutputError(f"{path.parent}: another run is writing it", hint="wait for it, or choose another --output")


def _read(path: Path) -> bytes:
    """Return a journal's bytes; nothing where there is no file, or one that cannot be a journal."""
    try:
        file = os.open(path, os.O_RDONLY | _FLAGS)
    except OSError:
        return b""
    with open(file, "rb") as stream:  # noqa: PTH123  # an open descriptor
        found = os.fstat(file)
        return stream.read() if stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST else b""


def boot_id() -> str:
    """Return the kernel's identifier of this boot, or an empty string where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
