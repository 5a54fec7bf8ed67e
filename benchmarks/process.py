"""Run a whole process and say what it took: seconds, processor time and the most memory it held."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: wall and processor seconds, peak resident bytes of the largest process in it.

    The kernel counts from before the command's start too: the peak is never less than this process's own, about 40 MB.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


class FailedRunError(RuntimeError):
    """A measured command did not succeed: nothing it took means anything."""


def measure(command: Sequence[str], *, log: Path) -> Measured:
    """Run ``command`` to its end; output goes to ``log``.

    Raises FailedRunError with the end of the log when the exit status is not 0.
    """
    with log.open("wb") as stream:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=environment())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = log.read_text(errors="replace")[-2000:]
        raise FailedRunError(f"{' '.join(command)} exited with {process.returncode}:\n{tail}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def environment() -> dict[str, str]:
    """Return the environment of a usual installation, in which Python keeps what it has compiled."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def warm(folder: Path) -> int:
    """Read every file once, so that all runs find the source in the page cache; return the bytes."""
    total = 0
    for path in sorted(folder.iterdir()):
        with path.open("rb", buffering=0) as file:
            while size := len(file.read(1 << 24)):
                total += size
    return total


def machine() -> dict[str, Any]:
    """Describe what the numbers were taken on."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in info if line.startswith("model name")), platform.processor()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    load = round(os.getloadavg()[0], 1)
    return {
        "load": load,
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "kernel": platform.release(),
    }
