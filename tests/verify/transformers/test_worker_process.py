"""Workers that answer, die, hang or print noise: all of it is a result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ctq.verify.engines.transformers.process import WorkerDiedError, run_worker

if TYPE_CHECKING:
    from collections.abc import Callable

PRELUDE = "import json, os, signal, subprocess, sys, time\nrequest = json.load(open(sys.argv[1]))\n"


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a worker of one line and return the name of its module."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(code: str) -> str:
        (tmp_path / "some_worker.py").write_text(PRELUDE + code)
        return "some_worker"

    return write


def test_an_answer_comes_back_through_all_noise(worker: Callable[[str], str]) -> None:
    module = worker(
        "print('noise' * 9999); sys.stderr.write('more'); json.dump({'got': request['a']}, open(sys.argv[2], 'w'))"
    )
    assert run_worker(module, {"a": 7}, timeout_s=60) == {"got": 7}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("raise MemoryError('no room')", "exit code 1; MemoryError: no room"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("open(sys.argv[2], 'w').write('{')", "exit code 0"),
    ],
)
def test_a_death_says_how(worker: Callable[[str], str], code: str, words: str) -> None:
    with pytest.raises(WorkerDiedError, match=words):
        run_worker(worker(code), {}, timeout_s=60)


def test_a_worker_that_hangs_is_ended_with_what_it_started(worker: Callable[[str], str], tmp_path: Path) -> None:
    pid_file = tmp_path / "child"
    child = "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    module = worker(f"{child}open({str(pid_file)!r}, 'w').write(str(child.pid))\ntime.sleep(600)")
    with pytest.raises(WorkerDiedError, match="no answer within 3 s"):
        run_worker(module, {}, timeout_s=3)
    assert _is_gone(int(pid_file.read_text()))


STARTER = """
import sys
from pathlib import Path
from ctq.verify.engines.{0}
{1}
"""
WORKER = """
import os, subprocess, sys, time
from ctq.verify.engines.vllm.worker.lifeline import hold_on
hold_on()
assert sys.stdin.read() == "", "nobody but the lifeline reads it"
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({0!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(600)
"""
RUN_MODULE = ("transformers.process import run_worker", "run_worker('some_worker', {}, timeout_s=600)")
RUN_VLLM = ("vllm.process import run_jobs", "run_jobs([{}], python=Path(sys.argv[1]), timeout_s=600)")


@pytest.mark.parametrize(("words", "call"), [RUN_MODULE, RUN_VLLM], ids=["transformers", "vllm"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_does_not_outlive_who_started_it(
    worker: Callable[[str], str], tmp_path: Path, words: str, call: str, number: int
) -> None:
    pids = tmp_path / "pids"
    (tmp_path / "some_worker.py").write_text(WORKER.format(str(pids)))
    interpreter = tmp_path / "python"
    interpreter.write_text(
        f"#!/bin/sh\nPYTHONPATH={':'.join(sys.path)} exec {sys.executable} {tmp_path}/some_worker.py\n"
    )
    interpreter.chmod(0o755)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # what it had no time to remove goes with the test
    command = [sys.executable, "-c", STARTER.format(words, call), str(interpreter)]
    with subprocess.Popen(command, env=environment) as starter:
        deadline = time.monotonic() + 60
        while not pids.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.1)
        starter.send_signal(number)
    for pid in pids.read_text().split():
        assert _is_gone(int(pid)), pid


def _is_gone(pid: int) -> bool:
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":  # dead, and only waiting for whoever reaps orphans here
            return True
        time.sleep(0.05)
    return False
