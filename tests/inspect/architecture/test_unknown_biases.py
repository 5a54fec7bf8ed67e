"""Biases beside weights that the architecture has without: some of vLLM's loaders pass over them, some refuse them."""

from __future__ import annotations

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
    ("family", "codes"), [("llama4", ["TEN024"]), ("granite-hybrid", ["TEN024"]), ("llama", []), ("mixtral", [])]
)
@pytest.mark.parametrize("norm", ["layers.0.input_layernorm", "model.norm"])
def test_a_bias_of_a_norm(
    family: str, codes: list[str], norm: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    quantize(checkpoint(family), tmp_path / "q")

    def add(tensors: dict[str, Raw]) -> None:
        for name, raw in list(tensors.items()):
            if name.endswith(f"{norm}.weight"):
                tensors[name.replace(".weight", ".bias")] = raw

    edit_tensors(tmp_path / "q", add)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(tmp_path / "q")), InspectOptions())
    assert [finding.code for finding in report.findings if finding.severity is Severity.ERROR] == codes
