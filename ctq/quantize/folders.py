"""The folder that a run writes into: what may lie in it, and how it is removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ctq.checkpoint.telltales import JOURNAL_NAME

PUBLISHING_NAME = ".ctq-publishing"
"""Marks a stage inside a mount point that is being moved up; holds the names that belong to the result."""


def is_plain(folder: Path) -> bool:
    """Tell whether a folder holds nothing but files and folders, so that what is written into it stays in it."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return all(
            entry.is_file(follow_symlinks=False) or (entry.is_dir(follow_symlinks=False) and is_plain(Path(entry.path)))
            for entry in entries
        )


def discard(work: Path) -> None:
    """Remove a stage, its journal and its list last: killed in between, it is still known as one."""
    marks = (JOURNAL_NAME, PUBLISHING_NAME)
    for entry in work.iterdir():
        if entry.name not in marks:
            remove(entry)
    for name in marks:
        (work / name).unlink(missing_ok=True)
    work.rmdir()


def remove(entry: Path) -> None:
    """Remove a file, a link or a whole folder."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)
