"""The engine's own get_quant_method on ParallelLMHead: the three base cases, and matching in bulk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from builders import quantization_config

from ctq.verify.engines.vllm.questions import dispatch_vllm, match_vllm

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


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
    answers = dispatch_vllm(cases, python=vllm_python)
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
    answers = match_vllm(cases, python=vllm_python)
    assert answers == [
        {"target": "re:.*lm_head$", "ignored": False, "error": None},
        {"target": None, "ignored": True, "error": None},
        {"target": None, "ignored": None, "error": "ValueError"},
        {"target": "re:.*[qkv]_proj", "ignored": False, "error": None},
    ]
