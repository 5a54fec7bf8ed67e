"""The engine's own get_quant_method on ParallelLMHead: the three base cases, and matching in bulk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import quantization_config

from ctq.verify.engines.vllm.process import run_jobs

pytestmark = pytest.mark.engine
WORKER = Path(__file__).parents[1] / "support" / "engines" / "dispatch_worker.py"


def answers_of(task: str, cases: list[dict[str, Any]], python: Path) -> list[dict[str, Any]]:
    """Ask about all cases in one process."""
    _, (answer,) = run_jobs([{"task": task, "cases": cases}], python=python, timeout_s=600, worker=WORKER)
    assert answer["outcome"] == "loaded", answer["error"]
    found: list[dict[str, Any]] = answer["answers"]
    return found


def settings(targets: list[str], ignore: list[str]) -> dict[str, Any]:
    config = quantization_config("w8a8")
    config["config_groups"] = {"group_0": config["config_groups"]["group_0"] | {"targets": targets}}
    return config | {"ignore": ignore}


BASE_CASES: dict[str, tuple[dict[str, Any], str | None]] = {
    "a target matches": (settings(["re:.*lm_head$"], []), "CompressedTensorsLinearMethod"),
    "the head is in ignore": (settings(["re:.*lm_head$"], ["lm_head"]), None),
    "no target matches": (settings(["Linear"], []), None),
}


def test_the_three_base_cases(vllm_python: Path) -> None:
    cases = [{"config": config, "class": "ParallelLMHead", "prefix": "lm_head"} for config, _ in BASE_CASES.values()]
    answers = answers_of("get_quant_method", cases, vllm_python)
    assert [answer["method"] for answer in answers] == [method for _, method in BASE_CASES.values()]
    assert [answer["error"] for answer in answers] == [None, None, None]
    assert answers[0]["scheme"] == "CompressedTensorsW8A8Int8"


def test_matching_in_bulk(vllm_python: Path) -> None:
    fused = {"qkv_proj": ["q_proj", "k_proj", "v_proj"]}
    head = {"layer_name": "lm_head", "class": "ParallelLMHead"}
    qkv = {"layer_name": "model.layers.0.self_attn.qkv_proj", "class": "QKVParallelLinear", "fused": fused}
    cases = [
        {**head, "targets": ["Linear", "re:.*lm_head$"]},
        {**head, "targets": ["Linear"], "ignore": ["re:.*head"]},
        {**qkv, "targets": ["Linear"], "ignore": ["re:.*q_proj"]},
        {**qkv, "targets": ["re:.*[qkv]_proj"]},
    ]
    answers = answers_of("match", cases, vllm_python)
    assert answers == [
        {"target": "re:.*lm_head$", "ignored": False, "error": None},
        {"target": None, "ignored": True, "error": None},
        {"target": None, "ignored": None, "error": "ValueError"},
        {"target": "re:.*[qkv]_proj", "ignored": False, "error": None},
    ]
