"""Verdicts on configs that are another method's, mangled or junk: a word for each, never a crash."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from head_facts_cases import DENSE, HEAD, W8A8, config

from ctq.engines.verdicts.verdict import ENGINES, head_verdict


@pytest.mark.parametrize("engine", ENGINES)
def test_other_methods_are_not_judged(engine: str) -> None:
    assert head_verdict(replace(W8A8, quantization={"quant_method": "gptq"}), engine).verdict == "unknown"


def test_a_config_without_a_method_is_none() -> None:
    bare = {key: value for key, value in config(HEAD).items() if key != "quant_method"}
    assert head_verdict(replace(W8A8, quantization=bare), "vllm", "0.33.0").verdict == "fails"
    assert head_verdict(replace(W8A8, quantization=bare, tensors=DENSE), "vllm", "0.33.0").verdict == "dense"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "groups", [None, [], {"group_0": None}, {"group_0": {"targets": None}}, {"group_0": {"targets": [HEAD]}}]
)
def test_mangled_configs_give_a_verdict_not_a_crash(engine: str, groups: Any) -> None:
    facts = replace(W8A8, quantization={**config(HEAD), "config_groups": groups})
    assert head_verdict(facts, engine).is_bad


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pattern", ["re:(", "re:(a+)+(?!b)\\1$"])
def test_patterns_that_cannot_be_matched(engine: str, pattern: str) -> None:
    facts = replace(W8A8, quantization=config(pattern), name="a" * 60)
    assert head_verdict(facts, engine).is_bad


JUNK = (None, 0, -1, 1.5, True, "", "x", "re:(", [], [None], [[]], {}, {"a": 1}, ["lm_head"], {"group_0": []})


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(40))
def test_junk_anywhere_in_the_config_gives_a_verdict(engine: str, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        quantization = json.loads(json.dumps(config(HEAD, "Linear", packed=rng.random() < 0.5)))
        quantization["kv_cache_scheme"] = None
        for _ in range(rng.randint(1, 3)):
            spoil(quantization, rng)
        assert head_verdict(replace(W8A8, quantization=quantization), engine).reason


def spoil(value: Any, rng: random.Random) -> None:
    """Put junk in the place of something inside."""
    while isinstance(value, dict | list) and value:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if rng.random() < 0.3 or not isinstance(value[key], dict | list):
            value[key] = rng.choice(JUNK)
            return
        value = value[key]
