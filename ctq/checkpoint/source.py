"""Where a checkpoint's bytes come from: a local folder here, the hub in ``hub.py``; both read by name and byte range."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

_SKIPPED_FOLDERS = frozenset({".git", ".cache", "__pycache__"})
_MAX_DEPTH = 3
_NEEDED_SUFFIXES = (".safetensors", ".json")

Item = TypeVar("Item")
Result = TypeVar("Result")


class Source(Protocol):
    """A set of named files that can be listed and read in ranges; names use ``/`` and never leave the source."""

    @property
    def label(self) -> str:
        """What messages call it: a path, or a hub id with its revision."""

    @property
    def files(self) -> Mapping[str, int]:
        """Every file's relative name and its size in bytes."""

    @property
    def is_file(self) -> bool:
        """Whether it is a single file, seen as a folder that holds nothing else."""

    @property
    def links_outside(self) -> Mapping[str, str]:
        """Files that are symbolic links to elsewhere, and where they lead."""

    @property
    def cached_repo(self) -> str | None:
        """The repository (``ORG/NAME``) of a snapshot in the hub's cache, of which other files may not have been downloaded."""

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return ``length`` bytes of the file from ``start`` on (all that follow by default); fewer where the file ends.

        Raises:
            CheckpointError: the file is not there or cannot be read.

        """

    def concurrently(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply a function that reads to each item, in order, several at once where reading means waiting."""


class LocalFolder:
    """A folder on this machine, or a single file seen as a folder that holds nothing else.

    Its files may be links, as in the hub's cache; those that lead elsewhere than the folder or that cache are in ``links_outside``.
    """

    def __init__(self, path: Path, *, label: str | None = None) -> None:
        self.is_file = not _is_folder(path)
        self.path = path.parent if self.is_file else path
        self.label = label or str(path)
        self.links_outside: dict[str, str] = {}
        self.cached_repo = None if self.is_file else _cached_repo(path)
        try:
            if self.is_file:
                self.files = {path.name: path.stat().st_size}
            else:
                home = _home(path)
                self.files = dict(sorted(_walk(str(path), "", 0)))
                self.links_outside = {name: target for name in self.files if (target := _leads_out(path / name, home))}
        except OSError as error:
            raise CheckpointError(f"{error.filename}: {error.strerror}") from error

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of the file ``name``; see ``Source.read``."""
        if name not in self.files:
            raise CheckpointError(f"{self.label}: no file {name!r} in it")
        try:
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return _read_fully(descriptor, start, self.files[name] - start if length is None else length)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise CheckpointError(f"{self.path / name}: {error.strerror}") from error

    def concurrently(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply ``function`` to one item after another: reading headers from a page cache gains nothing from threads."""
        return map(function, items)


def _is_folder(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise CheckpointError(
            f"{path}: no such file or folder", hint="give a local folder, or a hub id like ORG/NAME"
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise CheckpointError(f"{path}: neither a file nor a folder")
    return stat.S_ISDIR(mode)


def model_name(folder: Path) -> str:
    """Return what a folder's model is called: the folder's name, and that of the repository for a snapshot in the hub's cache."""
    real = folder.resolve()
    return real.parents[1].name.split("--", 2)[-1] if _is_snapshot(real) else real.name


def _cached_repo(folder: Path) -> str | None:
    real = folder.resolve()
    return "/".join(real.parents[1].name.split("--", 2)[1:]) if _is_snapshot(real) else None


def _is_snapshot(real: Path) -> bool:
    """Tell ``CACHE/models--ORG--NAME/snapshots/COMMIT`` (huggingface_hub's layout)."""
    return real.parent.name == "snapshots" and real.parents[1].name.startswith("models--")


def _home(folder: Path) -> Path:
    """Return the folder that links may lead into: the hub's cache if this is a snapshot of it, else the folder itself."""
    real = folder.resolve()
    return real.parents[2] if _is_snapshot(real) else real


def _leads_out(path: Path, home: Path) -> str | None:
    if not path.is_symlink():
        return None
    target = path.resolve()
    return None if target.is_relative_to(home) else str(target)


def _walk(folder: str, prefix: str, depth: int) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            found = _stat(entry)
            if found is None:
                continue
            if stat.S_ISREG(found.st_mode):
                yield f"{prefix}{entry.name}", found.st_size
            elif _is_entered(entry, depth):
                # One that may not be entered (`lost+found` of a volume) holds nothing of the model, or what it holds is missed.
                with suppress(PermissionError, FileNotFoundError):
                    yield from _walk(entry.path, f"{prefix}{entry.name}/", depth + 1)


def _is_entered(entry: os.DirEntry[str], depth: int) -> bool:
    return depth < _MAX_DEPTH and entry.is_dir(follow_symlinks=False) and entry.name not in _SKIPPED_FOLDERS


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return what the entry leads to; a link that leads nowhere is passed over if nobody misses it."""
    try:
        return entry.stat()
    except OSError as error:
        if not entry.is_symlink():
            raise
        if entry.name.endswith(_NEEDED_SUFFIXES):
            raise CheckpointError(
                f"{entry.path}: a link that leads to no file", hint="fetch the file it stands for"
            ) from error
        return None


def _read_fully(descriptor: int, start: int, length: int) -> bytes:
    parts = []
    while length > 0 and (part := os.pread(descriptor, length, start)):
        parts.append(part)
        start += len(part)
        length -= len(part)
    return b"".join(parts)
