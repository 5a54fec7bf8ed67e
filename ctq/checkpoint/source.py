"""Where a checkpoint's bytes come from: a local folder here, the hub in ``hub.py``; both read by name and byte range."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SKIPPED_FOLDERS = frozenset({".git", ".cache", "__pycache__"})
_MAX_DEPTH = 3


class Source(Protocol):
    """A set of named files that can be listed and read in ranges; names use ``/`` and never leave the source."""

    @property
    def label(self) -> str:
        """What messages call it: a path, or a hub id with its revision."""

    @property
    def files(self) -> Mapping[str, int]:
        """Every file's relative name and its size in bytes."""

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes of the file from ``start`` on (all that follow by default).

        Raises:
            CheckpointError: the file is not there or cannot be read.

        """


class LocalFolder:
    """A folder on this machine, or a single safetensors file seen as a folder that holds nothing else."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise CheckpointError(
                f"{path}: no such file or folder", hint="give a local folder, or a hub id like ORG/NAME"
            )
        self.path = path if path.is_dir() else path.parent
        self.label = str(path)
        self._only = None if path.is_dir() else path.name
        self.files = self._list()

    def _list(self) -> dict[str, int]:
        try:
            if self._only is not None:
                return {self._only: (self.path / self._only).stat().st_size}
            return dict(sorted(_walk(str(self.path), "", 0)))
        except OSError as error:
            raise CheckpointError(f"{error.filename}: {error.strerror}") from error

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of the file ``name``; see ``Source.read``."""
        path = self.path / name
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                return _read_fully(file.fileno(), path.stat().st_size - start if length is None else length)
        except OSError as error:
            raise CheckpointError(f"{path}: {error.strerror}") from error


def _walk(folder: str, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                if depth < _MAX_DEPTH and entry.name not in _SKIPPED_FOLDERS and not entry.is_symlink():
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", depth + 1)
            elif entry.is_file():
                yield f"{prefix}{entry.name}", entry.stat().st_size
            elif entry.is_symlink():
                raise CheckpointError(f"{entry.path}: a link that leads nowhere", hint="fetch the file it stands for")


def _read_fully(descriptor: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := os.read(descriptor, length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
