"""Run the jobs of a request one after another and write each result at once, so that a death keeps the earlier ones."""

from __future__ import annotations

import gc
import json
import resource
import time
from typing import TYPE_CHECKING, Any

from .faults import describe_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Tasks = Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]


def run(request: Path, results: Path, tasks: Tasks | None = None) -> int:
    """Carry out a request file; write JSON lines: the engine, then ``started`` and ``result`` for each job.

    ``tasks`` are what another program than this worker can be asked.
    """
    jobs = json.loads(request.read_text(encoding="utf-8"))["jobs"]
    with results.open("a", encoding="utf-8") as stream:

        def write(**line: Any) -> None:
            stream.write(json.dumps(line) + "\n")
            stream.flush()

        try:
            engine = start_engine()
        except Exception as error:  # noqa: BLE001 - the boundary of the process: any failure is a result
            write(kind="unavailable", error=describe_exception(error, stage="import"))
            return 1
        write(kind="engine", **engine)
        for job in jobs:
            write(kind="started", id=job["id"])
            write(kind="result", id=job["id"], **timed(job, tasks or own_tasks()))
            gc.collect()
    return 0


def start_engine() -> dict[str, Any]:
    """Import the engine and put the stand-ins in place."""
    from .engine import import_engine

    engine = import_engine()
    from . import standins

    standins.install()
    return engine


def own_tasks() -> Tasks:
    """Return what this worker can be asked; imported once the engine is."""
    from .tasks import TASKS

    return TASKS


def timed(job: dict[str, Any], tasks: Tasks) -> dict[str, Any]:
    """Carry out one job; add its seconds and the process's peak memory."""
    begun = time.monotonic()
    answer = tasks[job["task"]](job)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**answer, "seconds": round(time.monotonic() - begun, 3), "peak_bytes": peak}
