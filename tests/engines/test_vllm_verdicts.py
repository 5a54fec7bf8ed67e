"""The verdict on each head of the table against what the real vLLM does with the checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from head_cases import CASES, HeadCase, facts_of

from ctq.engines.verdicts.verdict import head_verdict
from ctq.verify.engines.vllm.facts import Outcome
from ctq.verify.engines.vllm.questions import VllmRequest, run_vllm

if TYPE_CHECKING:
    from ctq.verify.engines.vllm.facts import VllmResult

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, VllmResult]]:
    interpreter = os.environ.get("CTQ_VLLM_PYTHON")
    if not interpreter:
        pytest.skip("CTQ_VLLM_PYTHON names no interpreter that has vLLM")
    folder = tmp_path_factory.mktemp("heads")
    models = {case.name: case.build(folder / f"model-{number}") for number, case in enumerate(CASES)}
    found = run_vllm([VllmRequest(checkpoint=model) for model in models.values()], python=Path(interpreter))
    return {name: (model, result) for (name, model), result in zip(models.items(), found, strict=True)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_vllm_does_as_its_verdict_says(case: HeadCase, results: dict[str, tuple[Path, VllmResult]]) -> None:
    model, result = results[case.name]
    verdict = head_verdict(facts_of(model), "vllm", result.engine.version)
    assert word(result) == verdict.verdict == case.vllm, (result.error, verdict.reason)


def word(result: VllmResult) -> str:
    """Say in a verdict's words what vLLM did with the head."""
    assert result.outcome in (Outcome.LOADED, Outcome.REFUSED), result.error
    if result.outcome is Outcome.REFUSED:
        return "fails"
    spoilt = [*result.never_loaded, *result.partly_loaded, *result.converted]
    if any("lm_head" in fault.name for fault in spoilt):
        return "garbage"
    return "quantized" if any(head.quantized for head in result.heads) else "dense"
