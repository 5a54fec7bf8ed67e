"""Where a plan's source lies and where its result goes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def default_workers() -> int:
    """Return the cores that this process may use, eight at most: beyond that the disk or the memory is the limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of a plan; ``model`` and ``revision`` are what the provenance record names.

    ``fsync`` waits until everything is on the disk before the result takes its name.
    """

    source: Path
    out: Path
    model: str
    revision: str | None = None
    workers: int = 2
    force: bool = False
    resume: bool = False
    fsync: bool = False
