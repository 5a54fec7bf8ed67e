"""A few of the fuzzer's cases on every run; `benchmarks/fuzz.py` runs them by the hour."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from hostile_cases import Case, cases
from hostile_run import Folders, carry_out, cleared, healthy_folders
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


@cache
def folders() -> Folders:
    with tempfile.TemporaryDirectory() as work:
        return healthy_folders(Path(work))


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a case is a whole folder: shrinking one would take minutes
)
@given(case=st.deferred(lambda: cases(folders())))
def test_hostile_cases_keep_every_promise(case: Case) -> None:
    with tempfile.TemporaryDirectory() as work:
        carry_out(case, folders()[case.base], cleared(Path(work) / "case"))
