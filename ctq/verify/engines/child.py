"""A program of ours in a process of its own: started on a lifeline, ended with all that it started, and what it said at last."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

_TAIL_BYTES = 2000


def start(
    command: Sequence[str], folder: Path, noise: BinaryIO, *, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a worker in ``folder``, in a group of its own; what it prints goes to ``noise``."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,  # the worker's lifeline: it ends when this process does
        stdout=noise,
        stderr=subprocess.STDOUT,
        cwd=folder,
        start_new_session=True,
        env=environment,
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that nobody has waited for, so that its number is still its own, and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def ended_by(code: int) -> str:
    """Say how a process ended, by its return code: that of a signal is negative."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def tail(noise: Path) -> str:
    """Return the last of what a worker printed."""
    with noise.open("rb") as stream:
        stream.seek(max(0, noise.stat().st_size - _TAIL_BYTES))
        return stream.read().decode("utf-8", errors="replace").strip()
