"""The journal of a run: what it was going to do, and which units are done. It is also the lock of the output.

The first line is a JSON object with the plan's fingerprint and the machine's boot; each later line is the number of a finished
unit. A line that was torn by a kill does not count. After another boot the page cache may have been lost, so nothing done
before counts. The lock (``flock``) dies with the process that holds it.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctq.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

JOURNAL_NAME = ".ctq-journal"


class Journal:
    """An open, locked journal; ``done`` holds the units that an earlier run finished."""

    def __init__(self, path: Path, fingerprint: Mapping[str, Any]) -> None:
        """Open or create the journal at ``path``.

        Raises:
            OutputError: another run holds it, or it belongs to another plan.

        """
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._lock = threading.Lock()
        try:
            self._take_lock()
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

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"{self._path.parent}: another run is writing it", hint="wait for it, or choose another --output"
            ) from None

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
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None, set()
    lines = raw.split(b"\n")[:-1]
    try:
        head = json.loads(lines[0])
        done = {int(line) for line in lines[1:]}
    except (ValueError, IndexError):
        return None, set()
    return (head, done) if isinstance(head, dict) else (None, set())


def boot_id() -> str:
    """Return the kernel's identifier of this boot, or an empty string where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
