"""What `ctq quantize` writes is healthy: every state as decided, and nothing to find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.cli.main import run
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import CheckpointFactory

SCHEMES = {
    "w8a8": ("--include-lm-head",),
    "w8a16": ("--include-lm-head", "--scheme", "W8A16", "--strategy", "channel"),
    "mixed": ("--include-lm-head", "--lm-head-scheme", "W8A16"),
    "head-out": ("--exclude-lm-head",),
}
FAMILIES = ("llama", "llama-tied", "qwen3-moe", "deepseek-v3", "phi3", "gemma3-mm", "gpt-neox", "qwen2.5-vl", "falcon")
UNSERVED_BY_SGLANG = ("gemma3-mm",)
"""Whose class there takes the embedding for the head whatever the files hold: a warning."""


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("family", FAMILIES)
def test_results_are_healthy(family: str, scheme: str, checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    source, out = checkpoint(family), tmp_path / "out"
    assert run(["quantize", str(source), "-o", str(out), "--no-verify", "--quiet", *SCHEMES[scheme]]) == 0
    report = inspect_checkpoint(open_checkpoint(LocalFolder(out)))
    found = [finding for finding in report.findings if finding.severity is not Severity.NOTE]
    unserved = family in UNSERVED_BY_SGLANG and scheme != "head-out"
    assert [(finding.code, finding.message.split()[0]) for finding in found] == (
        [("HED010", "sglang")] if unserved else []
    )
    expected = {"head-out": ("dense", "tied")}.get(scheme, ("quantized",))
    assert report.facts.head.state in expected
    assert not [module for module in report.to_json()["modules"] if module["state"] == "broken"]


@pytest.mark.parametrize("family", ["llama", "llama-tied", "qwen3-moe", "gpt2", "opt", "gemma3-mm"])
def test_dense_originals_are_healthy(family: str, checkpoint: CheckpointFactory) -> None:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(checkpoint(family))))
    assert [finding for finding in report.findings if finding.severity is not Severity.NOTE] == []
    assert report.facts.method is None
