"""Experts beyond the number of the config: some of vLLM's classes refuse them, most leave them unread."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint


@pytest.mark.parametrize(
    ("family", "codes"),
    [("deepseek-v3", ["TEN024"]), ("granite-hybrid", ["TEN024"]), ("granite-moe", []), ("qwen3.5-moe", [])],
)
@pytest.mark.parametrize("layers", ["every layer", "one layer"])
def test_an_expert_too_many(
    family: str, codes: list[str], layers: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    quantize(checkpoint(family), tmp_path / "q")

    def add(tensors: dict[str, Raw]) -> None:
        found = [match for match in (re.fullmatch(r"(.*\.experts\.)3(\..*)", name) for name in tensors) if match]
        first = min(match[1] for match in found)
        for match in found:
            if layers == "every layer" or match[1] == first:
                tensors[f"{match[1]}4{match[2]}"] = tensors[match[0]]

    edit_tensors(tmp_path / "q", add)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(tmp_path / "q")), InspectOptions())
    assert [finding.code for finding in report.findings if finding.severity is Severity.ERROR] == codes
