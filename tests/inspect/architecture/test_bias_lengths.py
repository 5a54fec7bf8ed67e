"""Biases that are not as long as their weight has rows: vLLM cuts them into its fused ones by the weight's sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builders import Raw, edit_tensors
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import InspectOptions, inspect_checkpoint


def test_a_bias_shorter_than_its_weight_is_an_error(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    quantize(checkpoint("qwen2"), tmp_path / "q")
    name = "model.layers.0.self_attn.k_proj.bias"

    def halve(tensors: dict[str, Raw]) -> None:
        old = tensors[name]
        tensors[name] = Raw(old.dtype, (old.shape[0] // 2,), old.data[: len(old.data) // 2])

    edit_tensors(tmp_path / "q", halve)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(tmp_path / "q")), InspectOptions())
    assert "TEN026" in [finding.code for finding in report.findings if finding.severity == "error"]
