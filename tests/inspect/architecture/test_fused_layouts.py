"""All experts of a layer in one tensor, in either layout: as the real vLLM 0.32.0 answered (benchmarks/learn/fused_layouts.py)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_tensors

from benchmarks.learn.fused_layouts import put_together, turn
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint


def errors(folder: Path) -> list[str]:
    found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    return [finding.code for finding in found if finding.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("family", "straight", "turned"),
    [
        ("qwen3-vl-moe", ["TEN026"], []),
        ("qwen3-moe", [], ["TEN026"]),
        ("olmoe", [], ["TEN026"]),
        ("qwen3-next", [], ["TEN026"]),
        ("dots1", [], ["TEN026"]),
        ("deepseek-v3", ["TEN024", "TEN025"], ["TEN024", "TEN025"]),
    ],
)
def test_layouts_of_experts_in_one_tensor(
    family: str, straight: list[str], turned: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / family)
    edit_tensors(folder, put_together)
    assert errors(folder) == straight
    edit_tensors(folder, turn)
    assert errors(folder) == turned


def test_a_lost_half_is_missed(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("qwen3-moe"), tmp_path / "m")
    edit_tensors(folder, put_together)
    edit_tensors(folder, lambda tensors: tensors.pop("model.layers.1.mlp.experts.down_proj"))
    assert errors(folder) == ["TEN020"]
