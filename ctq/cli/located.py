"""A model as the user names it, found on this machine: a folder as it is, a hub id downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctq.checkpoint.source import LocalFolder


@dataclass(frozen=True, slots=True)
class Located:
    """A local folder, and the hub commit that it came from, if any."""

    folder: LocalFolder
    revision: str | None


def located(model: str, revision: str | None) -> Located:
    """Return the folder of ``model``, downloading it from the hub where it is an id.

    Raises:
        CheckpointError: no such folder, or the hub refuses.
        UsageError: a revision of a local folder.
    """
    raise NotImplementedError
