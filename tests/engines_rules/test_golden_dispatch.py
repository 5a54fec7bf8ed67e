"""Matching and dispatch agree with the code of eighteen releases of vLLM, case by case.

The answers were given by the releases' own sources (tests/engines/old_vllm.py); tests/engines/test_vllm_dispatch_oracle.py asks an installed vLLM.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import golden_dispatch
import our_dispatch
import pytest

from ctq.engines.vllm.rules import KNOWN_VERSIONS, rules_for

ANSWERS = golden_dispatch.decode(Path(__file__).with_name("golden_dispatch.json"))
CASES = golden_dispatch.cases()


def disagreements(version: str, kind: str, ours: Any) -> list[Any]:
    rules = rules_for(version)
    pairs = zip(CASES[kind], ANSWERS[version][kind], strict=True)
    return [(case, theirs, answer) for case, theirs in pairs if (answer := ours(case, rules)) != theirs]


@pytest.mark.parametrize("version", ANSWERS)
def test_targets_and_ignores_match_as_in_the_release(version: str) -> None:
    assert disagreements(version, "matching", our_dispatch.match) == []


@pytest.mark.parametrize("version", ANSWERS)
def test_layers_get_the_method_of_the_release(version: str) -> None:
    wrong = disagreements(version, "dispatch", our_dispatch.dispatch)
    # Before 0.17 experts were looked up another way, which is not modelled: no release of then has a quantized head.
    assert [entry for entry in wrong if version != "0.11.2" or entry[0]["cls"] != "FusedMoE"] == []


def test_the_releases_are_known_and_the_cases_tell_them_apart() -> None:
    assert set(ANSWERS) <= set(KNOWN_VERSIONS)
    answers = [
        str(ANSWERS[version])
        for version in ("0.19.1", "0.20.0", "0.21.0", "0.23.0", "0.24.0", "0.27.0", "0.30.0", "0.32.0")
    ]
    assert len(set(answers)) == len(answers)
    seen = {answer for release in ANSWERS.values() for answer in release["dispatch"]}
    assert {"none", "linear:W8A8Int8", "linear:WNA16", "embedding:EmbeddingWNA16Int", "layer:ValueError"} <= seen
