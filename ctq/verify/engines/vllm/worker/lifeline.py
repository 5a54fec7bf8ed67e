"""A worker that does not outlive the process that started it, however that one ended.

The starter holds the writing end of the worker's standard input and never writes. When it ends, killed or not, the kernel closes
that end; the worker then kills its own process group, and with it whatever it started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading


def hold_on() -> None:
    """Watch the lifeline from a thread of its own; without a pipe there is nothing to watch."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return
    line = os.dup(0)
    threading.Thread(target=_watch, args=(line,), name="lifeline", daemon=True).start()
    _leave_no_input()


def _leave_no_input() -> None:
    """Give everybody else an empty standard input: nobody may read from the lifeline."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _watch(line: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(line, 1):
            pass
    os.killpg(os.getpgrp(), signal.SIGKILL)
