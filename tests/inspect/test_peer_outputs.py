"""What llm-compressor and compressed-tensors really wrote: the right state for every module, and the right findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from peer_fixtures import FIXTURES, materialise

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import Report, inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

CLASS_ONLY = ["HED001"]
"""A quantized head that only `Linear` reaches: what these tools write when asked for the head."""
EXPECTED = {
    "modelfree-llama-tied-w8a16-head": ["HED005"],
    "modelfree-llama-tied-w8a8-head": ["HED005"],
    "modelfree-llama-w8a16-head": CLASS_ONLY,
    "modelfree-llama-w8a8-head": CLASS_ONLY,
    "modelfree-llama-w8a8-nohead-deadpattern": ["TEN016", "CFG018"],
    "modelfree-llama-w8a8-nohead-embedding": ["TEN016"],
    "modelfree-qwen3-moe-w8a16-nohead-router": ["TEN017"],
    "oneshot-llama-tied-w8a16-head": CLASS_ONLY,
    "oneshot-llama-tied-w8a8-head": CLASS_ONLY,
    "oneshot-llama-w8a16-head": CLASS_ONLY,
    "oneshot-llama-w8a8-head": CLASS_ONLY,
}
"""Findings at warning or above; every other fixture is healthy."""


def inspect(name: str, folder: Path) -> Report:
    return inspect_checkpoint(open_checkpoint(LocalFolder(materialise(name, folder))))


@pytest.mark.parametrize("name", FIXTURES)
def test_findings_are_those_that_hurt(name: str, tmp_path: Path) -> None:
    report = inspect(name, tmp_path)
    grave = [finding.code for finding in report.findings if finding.severity is not Severity.NOTE]
    assert grave == EXPECTED.get(name, []), report.findings


@pytest.mark.parametrize("name", FIXTURES)
def test_the_head_is_what_its_maker_was_asked_for(name: str, tmp_path: Path) -> None:
    head = inspect(name, tmp_path).facts.head
    asked = name.endswith("-head")
    tied = "-tied-" in name and not (name.startswith("oneshot") and asked)  # which unties what it quantizes
    assert head.state == ("tied" if tied else "quantized" if asked else "dense")
    assert head.name == "lm_head"


@pytest.mark.parametrize("name", FIXTURES)
def test_body_layers_are_quantized_and_nothing_is_broken(name: str, tmp_path: Path) -> None:
    modules = inspect(name, tmp_path).to_json()["modules"]
    states = {module["name"]: module["state"] for module in modules}
    body = [state for module, state in states.items() if module.endswith(("q_proj", "down_proj"))]
    assert set(body) == {"quantized"} or "visual" in str(states)
    broken = [module for module, state in states.items() if state == "broken"]
    assert broken == (["model.embed_tokens"] if "TEN016" in EXPECTED.get(name, []) else [])
