"""Run the worker in another interpreter and come back with an answer for every job, whatever happens to the process.

A worker that dies or hangs costs the job it was at; the jobs after it run in a new one. What it prints is noise, kept only to
say why it died: results travel through a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ctq.errors import EngineUnavailableError
from ctq.verify.engines.child import ended_by, kill_group, start, tail

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

Json: TypeAlias = dict[str, Any]
WORKER = Path(__file__).parent / "worker" / "__main__.py"
POLL_SECONDS = 0.05
HINT = "run that interpreter with -c 'import vllm' to see the whole error"


@dataclass
class Run:
    """What is known so far: the engine, and the answers by job."""

    engine: Json = field(default_factory=dict)
    answers: dict[str, Json] = field(default_factory=dict)


def run_jobs(jobs: Sequence[Json], *, python: Path, timeout_s: float, worker: Path = WORKER) -> tuple[Json, list[Json]]:
    """Return the engine's description and one answer per job, in order.

    ``timeout_s`` bounds each job, and the import before the first; ``worker`` is the program that answers. Raises
    EngineUnavailableError when the engine does not even start.
    """
    run = Run()
    numbered = {str(number): {**job, "id": str(number)} for number, job in enumerate(jobs)}
    while pending := [job for key, job in numbered.items() if key not in run.answers]:
        with tempfile.TemporaryDirectory(prefix="ctq-vllm-") as folder:
            _run_worker(run, pending, Path(folder), [str(python), "-I", str(worker)], timeout_s)
    return run.engine, [run.answers[key] for key in numbered]


def _run_worker(run: Run, jobs: list[Json], folder: Path, program: Sequence[str], timeout_s: float) -> None:
    """Run one worker to its end or death; add its answers, and one for the job that it died of."""
    request, results, noise = folder / "request.json", folder / "results.jsonl", folder / "noise.txt"
    request.write_text(json.dumps({"jobs": jobs}), encoding="utf-8")
    results.touch()
    with noise.open("wb") as stream:
        command = [*program, str(request), str(results)]
        process = start(command, folder, stream, environment=_environment())
        try:
            end = _watch(process, results, jobs=len(jobs), timeout_s=timeout_s)
        finally:
            kill_group(process)
    started = _read(run, results)
    if started is None and not run.engine:
        raise EngineUnavailableError(f"vLLM does not start in {program[0]}: {_why(results, noise, end)}", hint=HINT)
    if started is not None:
        run.answers[started] = {"outcome": "crashed", "error": _death(end, noise)}
    elif any(job["id"] not in run.answers for job in jobs):  # it died between two jobs, or while it was started again
        first = next(job["id"] for job in jobs if job["id"] not in run.answers)
        run.answers[first] = {"outcome": "crashed", "error": _death(end, noise)}


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def _watch(process: subprocess.Popen[bytes], results: Path, *, jobs: int, timeout_s: float) -> str:
    """Wait until the process ends, answers everything or makes no progress for too long; say which."""
    size, since = 0, time.monotonic()
    while True:
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is not None:
            return ended_by(ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status)
        now = results.stat().st_size
        if now != size:
            size, since = now, time.monotonic()
            if results.read_bytes().count(b'{"kind": "result"') == jobs:
                return "finished"
        if time.monotonic() - since > timeout_s:
            return f"no answer within {timeout_s:g} s"
        time.sleep(POLL_SECONDS)


def _read(run: Run, results: Path) -> str | None:
    """Add the lines of a results file; return the job that was started and not answered."""
    started = None
    for line in _lines(results):
        if line["kind"] == "engine":
            run.engine = line
        elif line["kind"] == "started":
            started = line["id"]
        elif line["kind"] == "result":
            run.answers[line["id"]] = line
            started = None
    return started


def _lines(results: Path) -> list[Json]:
    """Parse the whole lines; the last may have been cut off by a death."""
    lines = []
    for text in results.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            lines.append(json.loads(text))
    return lines


def _why(results: Path, noise: Path, end: str) -> str:
    for line in _lines(results):
        if line["kind"] == "unavailable":
            return f"{line['error']['type']}: {line['error']['message']}"
    return f"{end}; {tail(noise)}" if tail(noise) else end


def _death(end: str, noise: Path) -> Json:
    return {"stage": "process", "type": "", "message": f"the worker died: {end}", "detail": tail(noise)}
