"""The room that a run needs, compared with what is free before anything is written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ctq.checkpoint.size import size
from ctq.errors import OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from ctq.quantize.plan import Plan

_SPARE_BYTES = 16 * 1024 * 1024
"""Room kept for what is small: records, the journal, blocks that are not full."""


def check_space(work: Path, plan: Plan) -> None:
    """Refuse a plan for which there is no room at ``work``; what an earlier run left there counts.

    Raises:
        OutputError: with what is needed and what is free.

    """
    needed = bytes_needed(plan)
    present = sum(path.stat().st_blocks * 512 for name in plan.files if (path := work / name).is_file())
    room = os.statvfs(next(folder for folder in (work, *work.parents) if folder.exists()))
    free = room.f_bavail * room.f_frsize
    if needed - present > free:
        raise OutputError(
            f"{work}: no space: needs {size(needed)}, {size(free)} are free",
            hint=f"free {size(needed - present - free)}, or choose an --output on another disk",
        )


def bytes_needed(plan: Plan) -> int:
    """Return what a result takes on disk: weights, documents and side files, and some more."""
    sizes = plan.source.source.files
    beside = sum(map(len, plan.documents.values())) + sum(sizes[name] for name in plan.side_files)
    return plan.nbytes_after + beside + _SPARE_BYTES
