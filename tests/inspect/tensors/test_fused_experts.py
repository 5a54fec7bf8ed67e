"""Dense experts in one tensor beside quantized layers, not in `ignore`: as the real vLLM 0.32.0 answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rtn_family import quantize_family

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint


@pytest.mark.parametrize(
    ("kind", "words"), [("w8a8", "never loads their scales"), ("w8a8-static", "refuses their scheme: no MoE method")]
)
@pytest.mark.parametrize("family", ["gpt-oss", "granite-moe", "llama4-text"])
def test_experts_that_a_class_target_reaches(
    family: str, kind: str, words: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = quantize_family(checkpoint(family), tmp_path / kind, kind=kind, head=False)
    found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    [error] = [finding for finding in found if finding.severity is Severity.ERROR]
    assert error.code == "TEN023"
    assert words in error.message
