"""What the config's numbers leave out: experts beyond the last one, which vLLM leaves unread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builders import Raw, edit_tensors
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]
FIRST = "model.layers.0.mlp.experts.0."


def codes(folder: Path) -> set[str]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    return {finding.code for finding in report.findings if finding.severity is Severity.ERROR}


def add_expert(folder: Path) -> None:
    def add(tensors: dict[str, Raw]) -> None:
        first = {name: raw for name, raw in tensors.items() if ".layers.0." in name and ".experts.0." in name}
        assert first
        tensors.update({name.replace(".experts.0.", ".experts.97."): raw for name, raw in first.items()})

    edit_tensors(folder, add)


def test_no_gap_before_an_expert_that_no_engine_reads(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("qwen3-moe"), tmp_path / "q")
    add_expert(tmp_path / "q")
    assert codes(tmp_path / "q") == set()


def test_a_gap_below_an_expert_that_no_engine_reads(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("qwen3-moe"), tmp_path / "q")
    edit_tensors(
        tmp_path / "q",
        lambda tensors: [
            tensors.update({name.replace(".experts.0.", ".experts.97."): tensors.pop(name)})
            for name in list(tensors)
            if name.startswith(FIRST)
        ],
    )
    assert "TEN020" in codes(tmp_path / "q")
