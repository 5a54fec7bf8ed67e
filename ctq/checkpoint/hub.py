"""Models named by hub id: read in ranges without a download, or downloaded as far as they are safe and needed.

Pickles and code are never asked for. What a name means is decided before any request: a path is never looked up on the hub.
"""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ctq import __version__
from ctq.checkpoint.config import CONFIG_NAME
from ctq.checkpoint.hub_errors import in_plain_words
from ctq.checkpoint.hub_http import fetch_range
from ctq.checkpoint.index import INDEX_NAME, leaves_folder, parse_index
from ctq.checkpoint.source import LocalFolder
from ctq.checkpoint.strict_json import quoted
from ctq.checkpoint.weights import PICKLE_SUFFIXES, require_weights, weight_files
from ctq.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ctq.checkpoint.source import Source

_HUB_ID = re.compile(r"(?=.{3,96}$)[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_FILE_SUFFIXES = (".safetensors", ".json", *PICKLE_SUFFIXES)
_NEVER = (*PICKLE_SUFFIXES, ".py", ".so", ".sh")
_READERS = 16

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class HubId:
    """A model on the hub: ``ORG/NAME``, and the branch, tag or commit that was asked for."""

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}" if self.revision else self.repo


@dataclass(frozen=True, slots=True)
class Obtained:
    """A model on this machine, and the hub commit that it is, if it came from there."""

    folder: LocalFolder
    commit: str | None


def locate(model: str, revision: str | None = None) -> Path | HubId:
    """Decide what ``model`` names: what exists here is a path, ``ORG/NAME`` otherwise a hub id; nothing is asked of the hub.

    Raises:
        CheckpointError: it is neither.
        UsageError: a revision of a path.

    """
    path = _path(model)
    if path is not None:
        if revision is not None:
            raise UsageError(
                f"--revision {revision}: {model} is a folder here, and has none", hint="leave --revision out"
            )
        return path
    if _HUB_ID.fullmatch(model) and not model.endswith(_FILE_SUFFIXES) and "--" not in model and ".." not in model:
        return HubId(model, revision)
    raise CheckpointError(
        f"no such file or folder: {quoted(model)}", hint="give a local folder, or a hub id like ORG/NAME"
    )


def open_source(model: str, *, revision: str | None = None) -> Source:
    """Return what ``model`` names, ready to be read; from the hub without downloading it, or offline from its local cache.

    Raises:
        CheckpointError: there is no such model, or the hub refuses it.
        UsageError: a revision of a path.

    """
    where = locate(model, revision)
    if isinstance(where, Path):
        return LocalFolder(where)
    return _cached(where).folder if _offline() else HubSource(where)


def obtain(
    model: str,
    side_files: Callable[[Iterable[str]], Iterable[str]],
    *,
    revision: str | None = None,
    show_progress: bool = False,
) -> Obtained:
    """Return what ``model`` names as a local folder, downloading it into the hub's cache where it is a hub id.

    Downloaded are the weights that the index names, config and index, and of the other files those that ``side_files`` picks;
    never pickles or code. In offline mode the cache must have them.

    Raises:
        CheckpointError: there is no such model, the hub refuses it, or it has no safetensors.
        UsageError: a revision of a path.

    """
    where = locate(model, revision)
    if isinstance(where, Path):
        return Obtained(LocalFolder(where), None)
    if _offline():
        return _cached(where)
    source = HubSource(where)
    return _snapshot(where, _wanted(source, side_files), show_progress=show_progress)


class HubSource:
    """A model on the hub as a source: one request lists its files, each read is one request for a range of one file."""

    def __init__(self, hub_id: HubId) -> None:
        from huggingface_hub import HfApi, constants

        self.label = str(hub_id)
        self.repo = hub_id.repo
        self.links_outside: Mapping[str, str] = {}
        self.is_file = False
        self.cached_repo = None
        with in_plain_words(self.label):
            info = HfApi(library_name="ctq", library_version=__version__).model_info(
                hub_id.repo, revision=hub_id.revision, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT
            )
        if info.sha is None:
            raise CheckpointError(f"{self.label}: the hub names no commit for it", hint="check HF_ENDPOINT")
        self.commit = info.sha
        self.files = {
            file.rfilename: file.size or 0 for file in info.siblings or () if not leaves_folder(file.rfilename)
        }

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of the file ``name``; see ``Source.read``."""
        from huggingface_hub import hf_hub_url

        if name not in self.files:
            raise CheckpointError(f"{self.label}: no file {name!r} in it")
        stop = self.files[name] if length is None else min(self.files[name], start + length)
        if stop <= start:
            return b""
        with in_plain_words(f"{self.label}: {name}"):
            data = fetch_range(hf_hub_url(self.repo, name, revision=self.commit), start, stop)
        if len(data) != stop - start:
            raise CheckpointError(
                f"{self.label}: {name}: the hub sent {len(data)} of {stop - start} bytes", hint="try again"
            )
        return data

    def concurrently(self, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Apply ``function`` to the items, sixteen at once: each waits for the network most of the time."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_READERS) as pool:
            yield from pool.map(function, items)


def _path(model: str) -> Path | None:
    """Return the path if there is something at it; an empty name, as of an unset variable, is not the current folder."""
    try:
        path = Path(model).expanduser()
        return path if model and path.exists() else None
    except (OSError, RuntimeError):
        # A name too long for the file system, a folder that may not be entered, no such user.
        return None


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _wanted(source: HubSource, side_files: Callable[[Iterable[str]], Iterable[str]]) -> list[str]:
    require_weights(source)
    index = parse_index(source.read(INDEX_NAME)) if INDEX_NAME in source.files else None
    safe = [name for name in source.files if not name.endswith(_NEVER)]
    beside = [name for name in safe if not name.endswith(".safetensors")]
    wanted = {CONFIG_NAME, INDEX_NAME, *weight_files(source.files, index), *side_files(beside)}
    return [name for name in safe if name in wanted]


def _snapshot(hub_id: HubId, names: list[str], *, show_progress: bool) -> Obtained:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import tqdm

    class Silent(tqdm):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **(options | {"disable": True}))  # type: ignore[no-untyped-call]

    with in_plain_words(str(hub_id)):
        folder = snapshot_download(
            hub_id.repo,
            revision=hub_id.revision,
            allow_patterns=[glob.escape(name) for name in names],
            tqdm_class=None if show_progress else Silent,
            library_name="ctq",
            library_version=__version__,
        )
    return _obtained(hub_id, folder)


def _cached(hub_id: HubId) -> Obtained:
    from huggingface_hub import snapshot_download

    with in_plain_words(str(hub_id)):
        # The cache knows only what was asked for when it was filled: whether the weights are there is seen on opening.
        folder = snapshot_download(
            hub_id.repo, revision=hub_id.revision, local_files_only=True, allow_patterns=[CONFIG_NAME]
        )
    return _obtained(hub_id, folder)


def _obtained(hub_id: HubId, folder: str) -> Obtained:
    path = Path(folder)
    return Obtained(LocalFolder(path, label=str(hub_id)), path.name)
