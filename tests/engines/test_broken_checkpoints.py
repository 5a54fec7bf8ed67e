"""Broken checkpoints in the real vLLM and in ctq: a share of the sweep of faults, which must agree but for what is listed."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sweep_claims import claims_of
from sweep_faults import Case, break_copy, make_base
from sweep_outcomes import read_outcomes
from sweep_truth import observe, truth_of
from sweep_verdict import disagreements

from ctq.verify.engines.vllm.questions import VllmRequest, run_vllm

pytestmark = pytest.mark.engine
OUTCOMES = read_outcomes()
SHARE = 25
FAMILIES = ("llama", "qwen3-moe", "deepseek-v3", "gemma3-mm", "phi3", "qwen3-tied")
CHOSEN = [
    case
    for case in OUTCOMES.truths
    if case.family in FAMILIES and case.faults and zlib.crc32(case.name.encode()) % SHARE == 1
]
"""One of so many cases of the whole sweep, pairs among them, the same ones every time."""


def test_vllm_and_ctq_agree(checkpoint: Callable[..., Path], tmp_path: Path, vllm_python: Path) -> None:
    cases = [*dict.fromkeys(case.base for case in CHOSEN), *CHOSEN]
    bases: dict[Case, Path] = {}
    folders: dict[Case, Path] = {}
    for number, case in enumerate(cases):
        base = bases.get(case.base) or make_base(case, checkpoint(case.family), tmp_path / f"base-{len(bases)}")
        bases[case.base] = base
        if break_copy(case, base, tmp_path / str(number)):
            folders[case] = tmp_path / str(number)
    results = run_vllm([VllmRequest(checkpoint=folder) for folder in folders.values()], python=vllm_python)
    seen = {case: observe(result) for case, result in zip(folders, results, strict=True)}
    assert len(folders) > 100
    for case, folder in folders.items():
        truth, why = truth_of(seen[case], seen[case.base])
        claims = claims_of(folder)
        found = tuple((command, str(kind)) for command, kind in disagreements(truth, claims))
        assert found == OUTCOMES.disagreements.get(case, ()), (case.name, truth, why, claims)
