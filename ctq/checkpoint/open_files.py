"""A few open files of a folder of many: a checkpoint may have more shards than a process may have files open."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

MOST_OPEN = 16
"""Files kept open; more only while more threads than this each use one of their own."""


@dataclass(slots=True)
class _File:
    descriptor: int
    users: int = 0


class OpenFiles:
    """Files by name, opened when they are first leased and closed when others are wanted or at the end."""

    def __init__(self, folder: Path, flags: int, *, most: int = MOST_OPEN) -> None:
        self._folder = folder
        self._flags = flags | os.O_CLOEXEC
        self._most = most
        self._open: dict[str, _File] = {}
        self._lock = threading.Lock()

    @contextmanager
    def lease(self, names: Iterable[str]) -> Iterator[Mapping[str, int]]:
        """Give the descriptors of some files, which stay open meanwhile.

        Raises:
            OSError: one cannot be opened.

        """
        taken: dict[str, _File] = {}
        try:
            for name in names:
                if name not in taken:
                    taken[name] = self._take(name)
            yield {name: file.descriptor for name, file in taken.items()}
        finally:
            with self._lock:
                for file in taken.values():
                    file.users -= 1

    def close(self) -> None:
        """Close every file; nobody may use one any more."""
        while self._open:
            os.close(self._open.popitem()[1].descriptor)

    def __enter__(self) -> OpenFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, name: str) -> _File:
        with self._lock:
            file = self._open.pop(name, None)
            if file is None:
                self._make_room()
                file = _File(os.open(self._folder / name, self._flags))
            self._open[name] = file  # at the end: the first is always the one that was not wanted for longest
            file.users += 1
            return file

    def _make_room(self) -> None:
        idle = [name for name, file in self._open.items() if not file.users]
        for name in idle[: max(0, len(self._open) - self._most + 1)]:
            os.close(self._open.pop(name).descriptor)
