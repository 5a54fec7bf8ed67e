"""Files that only their owner can read: a server runs as someone else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import CONFIG_NAME
from ctq.checkpoint.index import INDEX_NAME
from ctq.checkpoint.source import LocalFolder

if TYPE_CHECKING:
    from ctq.checkpoint.checkpoint import Checkpoint

_OTHERS_MAY_READ = 0o044


def unreadable_files(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return those of the config, the index and the weights that neither group nor others may read; local folders only."""
    source = checkpoint.source
    if not isinstance(source, LocalFolder):
        return ()
    names = [name for name in (CONFIG_NAME, INDEX_NAME, *checkpoint.headers) if name in source.files]
    return tuple(name for name in names if not (source.path / name).stat().st_mode & _OTHERS_MAY_READ)
