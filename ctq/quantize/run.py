"""A plan carried out: staged, streamed, journalled and published."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq import events
from ctq.checkpoint.telltales import JOURNAL_NAME
from ctq.errors import OutputError
from ctq.quantize.durable import sync_tree
from ctq.quantize.journal import Journal
from ctq.quantize.provenance import fingerprint, provenance, provenance_json
from ctq.quantize.reserve import reserve
from ctq.quantize.side_files import PROVENANCE_NAME
from ctq.quantize.space import check_space
from ctq.quantize.stage import Stage, open_stage, publish, settle, stage_of
from ctq.quantize.stream import Route, stream
from ctq.quantize.units import units_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ctq.checkpoint.writer import PlannedFile
    from ctq.kernels.stats import BlockStats
    from ctq.quantize.job import Job
    from ctq.quantize.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run did: seconds of streaming, source bytes read in them, and what is known of each module quantized in this run."""

    seconds: float
    nbytes_read: int
    resumed_units: int
    modules: Mapping[str, BlockStats]


def run_plan(plan: Plan, job: Job, *, on_event: events.OnEvent = events.ignore) -> RunSummary:
    """Quantize ``job.source`` to ``job.out`` as planned.

    Raises:
        OutputError: the output cannot be written, is in use, or there is no space for it.
        CheckpointError: a weight is not finite, or the source changed or ended while it was read.

    """
    began = time.monotonic()
    record = provenance(plan, model=job.model, revision=job.revision)
    units = units_of(plan.tasks)
    if job.resume and _is_finished(job.out, plan, provenance_json(record)):
        settle(job.out)
        return RunSummary(seconds=0.0, nbytes_read=0, resumed_units=len(units), modules={})
    check_space(stage_of(job.out).work, plan)
    stage = open_stage(job.out, job.source, force=job.force, resume=job.resume)
    stamps = {name: (job.source / name).stat().st_mtime_ns for name in plan.source.headers}
    try:
        with Journal(stage.journal, {"units": len(units), **fingerprint(plan, record, stamps)}) as journal:
            if not _holds_all(stage.work, plan.files):
                journal.forget()  # what an earlier run wrote and is gone was not done
            _prepare(stage, plan.files)
            route = Route(source=job.source, target=stage.work)
            modules = stream(units, route, journal, workers=job.workers, on_event=on_event)
            _finish(stage, plan, job.source, provenance_json(record))
            if job.fsync:
                sync_tree(stage.work)
            publish(stage)
    except OSError as error:
        raise _os_problem(error, stage) from error
    fresh = [unit.nbytes for index, unit in enumerate(units) if index not in journal.done]
    return RunSummary(
        seconds=time.monotonic() - began,
        nbytes_read=sum(fresh),
        resumed_units=len(units) - len(fresh),
        modules=modules,
    )


def _is_finished(out: Path, plan: Plan, record: bytes) -> bool:
    """Tell whether an earlier run of this very plan was killed after it had published its result."""
    documents = {PROVENANCE_NAME: record} | dict(plan.documents)
    are_written = ((out / name).is_file() and (out / name).read_bytes() == data for name, data in documents.items())
    return all(are_written) and _holds_all(out, plan.files)


def _holds_all(folder: Path, files: Mapping[str, PlannedFile]) -> bool:
    """Tell whether every planned file lies in a folder at its final size."""
    return all(
        (folder / name).is_file() and (folder / name).stat().st_size == file.nbytes for name, file in files.items()
    )


def _prepare(stage: Stage, files: Mapping[str, PlannedFile]) -> None:
    """Create every file at its final size, header first."""
    for name, file in files.items():
        descriptor = os.open(stage.work / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            reserve(descriptor, file.nbytes)
            os.pwrite(descriptor, file.header, 0)
        finally:
            os.close(descriptor)


def _finish(stage: Stage, plan: Plan, source: Path, record: bytes) -> None:
    """Write what makes the weights a model: side files, provenance, index, and the config last of all; nothing else stays."""
    wanted = {*plan.files, *plan.side_files, *plan.documents, PROVENANCE_NAME, JOURNAL_NAME}
    for path in [path for path in stage.work.rglob("*") if path.is_file() or path.is_symlink()]:
        if str(path.relative_to(stage.work)) not in wanted:
            path.unlink()
    for name in plan.side_files:
        target = stage.work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
    for name, data in ({PROVENANCE_NAME: record} | dict(plan.documents)).items():
        (stage.work / name).write_bytes(data)


def _os_problem(error: OSError, stage: Stage) -> OutputError:
    where = error.filename or stage.work
    hint = "the source is untouched; mend the cause and continue with --resume"
    return OutputError(f"{where}: {error.strerror or error}", hint=hint)
