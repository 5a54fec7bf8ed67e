"""Run a worker module of ours in a process of its own, and come back with its answer or with why there is none.

What it prints is noise, kept only to say why it died; the answer travels through a file. A worker that hangs is killed with
everything that it started, and so is one whose starter was killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ctq.verify.engines.child import ended_by, kill_group, start, tail


class WorkerDiedError(Exception):
    """A worker that gave no answer; the message says how it ended, with the last line of what it printed."""


def run_worker(module: str, request: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """Run ``python -m module REQUEST ANSWER`` and return the JSON object that it wrote to ANSWER.

    Raises:
        WorkerDiedError: it ended without an answer, or took longer than ``timeout_s``.

    """
    with tempfile.TemporaryDirectory(prefix="ctq-worker-") as name:
        folder = Path(name)
        asked, answer, noise = folder / "request.json", folder / "answer.json", folder / "noise.txt"
        asked.write_text(json.dumps(request), encoding="utf-8")
        end = _run([sys.executable, "-P", "-m", module, str(asked), str(answer)], folder, noise, timeout_s)
        try:
            result: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise WorkerDiedError(f"the worker died: {end}{_last_line(noise)}") from None
        return result


def _run(command: list[str], folder: Path, noise: Path, timeout_s: float) -> str:
    with noise.open("wb") as stream, start(command, folder, stream) as process:
        try:
            code = process.wait(timeout_s)
        except BaseException as reason:  # an interrupt of ours, too, must not leave it running
            kill_group(process)
            if not isinstance(reason, subprocess.TimeoutExpired):
                raise
            return f"no answer within {timeout_s:g} s"
    return ended_by(code)


def _last_line(noise: Path) -> str:
    lines = tail(noise).splitlines()
    return f"; {lines[-1].strip()}" if lines else ""
