"""A worker that dies, hangs, lies or makes noise becomes results; the interpreters here are scripts that behave so."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from pathlib import Path

import pytest

from ctq.errors import EngineUnavailableError
from ctq.verify.engines.vllm.facts import Outcome
from ctq.verify.engines.vllm.interpreter import find_vllm, require_vllm
from ctq.verify.engines.vllm.process import run_jobs
from ctq.verify.engines.vllm.questions import VllmRequest, run_vllm

ENGINE = r'{"kind": "engine", "version": "9", "torch": "2", "device": "cpu", "device_name": "cpu"}'
PREAMBLE = rf"""#!/bin/sh
# called as: PYTHON -I WORKER REQUEST RESULTS
echo noise; echo more noise >&2
echo '{ENGINE}' >> "$4"
answer() {{ printf '{{"kind": "result", "id": "%s", "outcome": "loaded"}}\n' "$1" >> "$RESULTS"; }}
begin() {{ printf '{{"kind": "started", "id": "%s"}}\n' "$1" >> "$RESULTS"; }}
RESULTS=$4
"""


def interpreter(tmp_path: Path, body: str, *, preamble: str = PREAMBLE) -> Path:
    script = tmp_path / "python"
    script.write_text(preamble + body)
    script.chmod(0o755)
    return script


def requests(tmp_path: Path, count: int) -> list[VllmRequest]:
    return [VllmRequest(checkpoint=tmp_path / str(number)) for number in range(count)]


def test_answers_come_in_order_and_noise_does_no_harm(tmp_path: Path) -> None:
    python = interpreter(tmp_path, "for i in 0 1; do begin $i; answer $i; done\n")
    results = run_vllm(requests(tmp_path, 2), python=python, timeout_s=10)
    assert [result.outcome for result in results] == [Outcome.LOADED, Outcome.LOADED]
    assert results[0].engine.version == "9"


@pytest.mark.parametrize(
    ("death", "words"),
    [("kill -9 $$", "killed by SIGKILL"), ("kill -SEGV $$", "killed by SIGSEGV"), ("exit 7", "exit code 7")],
)
def test_a_death_costs_one_answer_and_the_rest_run_again(tmp_path: Path, death: str, words: str) -> None:
    # The request lists the jobs that are left: the second start has no job 0 any more.
    body = f"""
    if grep -q '"id": "0"' "$3"; then begin 0; answer 0; begin 1; echo last words; {death}; fi
    begin 2; answer 2
    """
    results = run_vllm(requests(tmp_path, 3), python=interpreter(tmp_path, body), timeout_s=10)
    assert [result.outcome for result in results] == [Outcome.LOADED, Outcome.CRASHED, Outcome.LOADED]
    assert results[1].error is not None
    assert words in results[1].error.message
    assert "last words" in results[1].error.detail


def test_a_hang_is_ended_with_all_its_children(tmp_path: Path) -> None:
    body = f"begin 0; sleep 600 & echo $! > {tmp_path}/child; wait\n"
    begun = time.monotonic()
    (result,) = run_vllm(requests(tmp_path, 1), python=interpreter(tmp_path, body), timeout_s=0.5)
    assert time.monotonic() - begun < 30
    assert result.outcome is Outcome.CRASHED
    assert result.error is not None
    assert "no answer within 0.5 s" in result.error.message
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20  # the kill is sent; when the kernel and init have done with it is theirs to say
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def test_a_worker_that_answered_need_not_end(tmp_path: Path) -> None:
    python = interpreter(tmp_path, "begin 0; answer 0; sleep 600\n")
    begun = time.monotonic()
    (result,) = run_vllm(requests(tmp_path, 1), python=python, timeout_s=300)
    assert result.outcome is Outcome.LOADED
    assert time.monotonic() - begun < 60


def test_a_line_cut_off_by_a_death_is_no_answer(tmp_path: Path) -> None:
    python = interpreter(
        tmp_path, """begin 0; printf '{"kind": "result", "id": "0", "outc' >> "$RESULTS"; kill -9 $$\n"""
    )
    (result,) = run_vllm(requests(tmp_path, 1), python=python, timeout_s=10)
    assert result.outcome is Outcome.CRASHED


def test_an_engine_that_does_not_start_is_unavailable(tmp_path: Path) -> None:
    python = interpreter(tmp_path, "echo 'libtorch.so: cannot open' >&2; exit 1\n", preamble="#!/bin/sh\n")
    with pytest.raises(EngineUnavailableError, match=r"exit code 1; libtorch.so: cannot open"):
        run_jobs([{"task": "load"}], python=python, timeout_s=10)


def test_an_import_error_is_named(tmp_path: Path) -> None:
    line = '{"kind": "unavailable", "error": {"type": "ImportError", "message": "No module named torch"}}'
    python = interpreter(tmp_path, f"""echo '{line}' >> "$4"; exit 1\n""", preamble="#!/bin/sh\n")
    with pytest.raises(EngineUnavailableError, match="ImportError: No module named torch"):
        run_vllm(requests(tmp_path, 1), python=python, timeout_s=10)


def test_no_requests_start_no_process(tmp_path: Path) -> None:
    assert run_vllm([], python=tmp_path / "nowhere", timeout_s=1) == []


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed beside ctq")
def test_an_interpreter_without_vllm_is_refused_in_clear_words(tmp_path: Path) -> None:
    lacking = Path(sys.executable)
    with pytest.raises(EngineUnavailableError, match="this interpreter has no vLLM") as caught:
        require_vllm(lacking)
    assert "pip install" in (caught.value.hint or "")
    with pytest.raises(EngineUnavailableError, match="no such interpreter"):
        require_vllm(tmp_path / "missing")
    (tmp_path / "text").write_text("no program")
    with pytest.raises(EngineUnavailableError, match="not an executable file"):
        require_vllm(tmp_path / "text")
    assert find_vllm(lacking) is None


@pytest.mark.parametrize("says", ["exit 0", "exit 1", "echo Python", "yes | head -c 100000"])
def test_a_program_that_is_no_interpreter_is_refused(tmp_path: Path, says: str) -> None:
    with pytest.raises(EngineUnavailableError, match="not a Python interpreter that starts"):
        require_vllm(interpreter(tmp_path, f"{says}\n", preamble="#!/bin/sh\n"))


def test_a_given_interpreter_is_taken_by_its_own_path(tmp_path: Path) -> None:
    # A virtual environment is known by the link that starts it; following the link would leave the environment.
    real = interpreter(tmp_path, "echo vllm True\n", preamble="#!/bin/sh\n")
    link = tmp_path / "linked"
    link.symlink_to(real)
    assert find_vllm(link) == link


def is_running(pid: int) -> bool:
    """Tell whether a process lives; one that is dead and not yet waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
