"""Inspection of broken checkpoints against what the real vLLM made of the same ones, as the last whole sweep stored it."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sweep_claims import inspected
from sweep_faults import MAIN, Case, break_copy, make_base
from sweep_outcomes import read_outcomes
from sweep_verdict import inspection

ROOT = Path(__file__).parents[2]
OUTCOMES = read_outcomes()
SHARE = 6
"""One of so many faults is tried here, as one scheme: the whole takes an hour."""


def chosen(scheme: str) -> list[Case]:
    """Return this test's share of one scheme's cases, the same ones every time."""
    single = [
        case for case in OUTCOMES.truths if case.family == MAIN and case.scheme == scheme and len(case.faults) == 1
    ]
    return [case for case in single if zlib.crc32(case.name.encode()) % SHARE == 0]


@pytest.mark.parametrize("scheme", ["W8A8", "W8A16"])
def test_errors_are_found_where_vllm_fails_and_nowhere_else(
    checkpoint: Callable[..., Path], tmp_path: Path, scheme: str
) -> None:
    base = make_base(Case(MAIN, scheme), checkpoint(MAIN), tmp_path / "base")
    wrong = {}
    for number, case in enumerate(chosen(scheme)):
        folder = tmp_path / str(number)
        if break_copy(case, base, folder):
            found = [kind.value for _, kind in inspection(OUTCOMES.truths[case], inspected(folder))]
            if found != [kind for command, kind in OUTCOMES.disagreements.get(case, ()) if command == "inspect"]:
                wrong[case.name] = (str(OUTCOMES.truths[case]), found)
    assert not wrong


def test_the_page_is_up_to_date() -> None:
    script = "benchmarks.conformance.faults_page"
    page = subprocess.run([sys.executable, "-m", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs/faults.md").read_text() == page, f"python -m {script} > docs/faults.md"
