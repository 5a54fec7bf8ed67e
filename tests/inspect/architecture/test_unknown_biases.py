"""Biases beside weights that the architecture has without: some of vLLM's loaders pass over them, some refuse them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors
from families import build
from inspecting import error_list
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


@pytest.mark.parametrize(
    ("family", "router", "codes"),
    [
        ("granite-moe", "router.layer", ["TEN024"]),
        ("granite-moe-shared", "router.layer", ["TEN024"]),
        ("granite-hybrid", "router.layer", ["TEN024"]),
        ("afmoe", "router.gate", ["TEN024"]),
        ("mixtral", "gate", []),
        ("olmoe", "gate", []),
        ("qwen3-moe", "gate", []),
    ],
)
def test_a_bias_of_a_router(family: str, router: str, codes: list[str], tmp_path: Path) -> None:
    build(family, tmp_path)

    def add(tensors: dict[str, Raw]) -> None:
        name = next(name for name in tensors if name.endswith(f".{router}.weight"))
        experts, _ = tensors[name].shape
        tensors[name.replace(".weight", ".bias")] = Raw("BF16", (experts,), bytes(2 * experts))

    edit_tensors(tmp_path, add)
    assert error_list(tmp_path) == codes
