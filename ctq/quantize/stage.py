"""Where a run writes until it is whole, and how the result takes its name.

Everything goes to ``OUT.partial/``; one rename makes it ``OUT``. Where ``OUT`` is a mount point (a container's volume), which
cannot be renamed over, it is staged in ``OUT/.partial/`` and moved up file by file, ``config.json`` last: without it no
engine takes the folder for a model.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from ctq.checkpoint.config import CONFIG_NAME
from ctq.checkpoint.telltales import JOURNAL_NAME
from ctq.errors import OutputError
from ctq.quantize.folders import PUBLISHING_NAME, discard, is_plain
from ctq.quantize.journal import locked, read_journal
from ctq.quantize.moving import coming, finish_move, move_up

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@dataclass(frozen=True, slots=True)
class Stage:
    """The output ``out``, the folder ``work`` that is written until it is whole, and whether it may take an old output's place."""

    out: Path
    work: Path
    replaces: bool = False

    @property
    def journal(self) -> Path:
        """Where the journal lies."""
        return self.work / JOURNAL_NAME

    @property
    def is_inside(self) -> bool:
        """Whether the output is a mount point, with the stage in it."""
        return self.work.parent == self.out


def open_stage(out: Path, source: Path | None, *, force: bool, resume: bool) -> Stage:
    """Check that ``out`` may be written and return its stage; nothing of the user's is touched yet.

    Raises:
        OutputError: the output is the source or around it, exists, is no folder of a model, or holds an unfinished run.

    """
    _keep_off_source(out, source)
    stage = settle(out)
    out = stage.out
    if out.exists() and not _is_free(out, stage) and not force:
        replaceable = ", or replace it with --force" if _is_replaceable(out, stage) else ""
        raise OutputError(f"{out}: already exists", hint=f"choose another --output{replaceable}")
    if out.exists() and not _is_replaceable(out, stage):
        raise OutputError(
            f"{out}: not a model's folder, so --force does not replace it", hint="choose another --output"
        )
    if os.path.lexists(stage.work) and not _is_ours(stage):
        raise OutputError(
            f"{stage.work}: in the way, and not an unfinished run of ctq", hint="move it, or choose another --output"
        )
    if stage.work.exists() and not (force or resume):
        raise OutputError(
            f"{stage.work}: {_unfinished(stage)}", hint="continue it with --resume, or start over with --force"
        )
    try:
        if force and not resume and stage.work.exists():
            with locked(stage.journal):
                discard(stage.work)
        stage.work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{stage.work}: {error.strerror}", hint="choose another --output") from error
    return replace(stage, replaces=force)


def settle(out: Path) -> Stage:
    """Return the stage of ``out`` after finishing what a kill interrupted between or after the renames of ``publish``.

    Raises:
        OutputError: another run is at it.

    """
    stage = stage_of(out)
    with ExitStack() as stack:
        for folder in (stage.work, stage.out):
            stack.enter_context(locked(folder / JOURNAL_NAME))
        _mend(stage)
    return stage


def stage_of(out: Path) -> Stage:
    """Return where ``out`` is staged; nothing is looked at but whether it is a link or a mount point."""
    out = Path(os.path.realpath(out))
    return Stage(out, out / ".partial" if os.path.ismount(out) else out.with_name(f"{out.name}.partial"))


def publish(stage: Stage) -> None:
    """Give the whole result its name, replacing an old output that ``open_stage`` allowed to replace.

    Raises:
        OutputError: the folder cannot be renamed; the result stays in the stage.

    """
    try:
        if not stage.replaces and stage.out.exists() and not _is_free(stage.out, stage):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if stage.is_inside:
            move_up(stage.work, stage.out)
        else:
            _swap(stage)
    except OSError as error:
        raise OutputError(f"{stage.out}: {error.strerror}; the result is whole in {stage.work}") from error
    (stage.out / JOURNAL_NAME).unlink(missing_ok=True)


def _keep_off_source(out: Path, source: Path | None) -> None:
    if source is None:
        return
    resolved, origin = out.resolve(), source.resolve()
    if resolved == origin or resolved in origin.parents:
        raise OutputError(f"{out}: is the source, or holds it", hint="choose another --output")
    if origin in resolved.parents:
        raise OutputError(f"{out}: lies inside the source", hint="choose an --output beside it")


def _mend(stage: Stage) -> None:
    if stage.is_inside:
        if is_plain(stage.work) and coming(stage.work) is not None:
            finish_move(stage.work, stage.out)
        return
    old = _old(stage)
    if old.exists() and not stage.out.exists() and stage.journal.exists():
        old.rename(stage.out)
    elif old.exists() and (stage.out / JOURNAL_NAME).exists():
        shutil.rmtree(old)
    if (stage.out / JOURNAL_NAME).exists() and (stage.out / CONFIG_NAME).exists():
        if stage.work.exists() and not stage.journal.exists():
            shutil.rmtree(stage.work)  # the old output, exchanged but not yet removed
        (stage.out / JOURNAL_NAME).unlink()


def _is_free(out: Path, stage: Stage) -> bool:
    """Tell whether a folder holds nothing that could be lost: empty, or a mount point with only our stage in it."""
    return out.is_dir() and all(entry.name in (stage.work.name, "lost+found") for entry in out.iterdir())


def _is_replaceable(out: Path, stage: Stage) -> bool:
    """Tell whether a folder is a model's: weights and a config, or nothing at all."""
    is_model = (out / CONFIG_NAME).is_file() and any(out.glob("*.safetensors"))
    return out.is_dir() and (_is_free(out, stage) or is_model)


def _is_ours(stage: Stage) -> bool:
    """Tell an unfinished run from whatever else lies at its place: a journal or nothing yet, and no links or pipes in it."""
    if not is_plain(stage.work):
        return False
    return (stage.work / PUBLISHING_NAME).exists() or stage.journal.is_file() or not any(stage.work.iterdir())


def _unfinished(stage: Stage) -> str:
    head, done = read_journal(stage.journal)
    if head is None:
        return "left by an earlier run that had not begun"
    return f"an unfinished run, {len(done)} of {head.get('units', '?')} units done"


def _old(stage: Stage) -> Path:
    return stage.out.with_name(f"{stage.out.name}.old-ctq")


def _swap(stage: Stage) -> None:
    if not stage.out.exists() or not any(stage.out.iterdir()):
        stage.work.rename(stage.out)
    elif _exchange(stage.work, stage.out):
        shutil.rmtree(stage.work, ignore_errors=True)
    else:
        old = _old(stage)
        stage.out.rename(old)
        stage.work.rename(stage.out)
        shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step; False where the kernel or the filesystem cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number))
