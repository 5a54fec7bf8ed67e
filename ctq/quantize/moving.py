"""A result moved up out of its stage into the mount point around it, so that a kill at any moment can be mended.

A list of what is coming is written first. Then the old contents go, ``config.json`` before all else, and the new ones come, it
last: without it no engine takes the folder for a model.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from ctq.checkpoint.config import CONFIG_NAME
from ctq.checkpoint.telltales import JOURNAL_NAME
from ctq.quantize.folders import PUBLISHING_NAME, discard, remove

if TYPE_CHECKING:
    from pathlib import Path


def move_up(work: Path, out: Path) -> None:
    """Replace the contents of ``out`` by those of ``work``, a folder in it."""
    names = sorted(entry.name for entry in work.iterdir() if entry.name not in (JOURNAL_NAME, PUBLISHING_NAME))
    (work / PUBLISHING_NAME).write_text(json.dumps(names))
    finish_move(work, out)


def coming(work: Path) -> list[str] | None:
    """Return the names that a move up had begun with, None where none had."""
    try:
        names = json.loads((work / PUBLISHING_NAME).read_bytes())
    except (OSError, ValueError):  # none, or torn by a kill before anything was moved
        return None
    return names if isinstance(names, list) and all(_is_entry(name) for name in names) else None


def finish_move(work: Path, out: Path) -> None:
    """Remove the old contents, config first, then move up what is still in the stage, config last."""
    names = coming(work) or []
    if (work / CONFIG_NAME).exists():
        (out / CONFIG_NAME).unlink(missing_ok=True)
    for entry in out.iterdir():
        if entry != work and entry.name not in ("lost+found", *names):
            remove(entry)
    for name in sorted(names, key=lambda name: name == CONFIG_NAME):
        if (work / name).exists():
            _put(work / name, out / name)
    discard(work)


def _is_entry(name: object) -> bool:
    return isinstance(name, str) and "/" not in name and name not in ("", ".", "..")


def _put(entry: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    entry.replace(target)
