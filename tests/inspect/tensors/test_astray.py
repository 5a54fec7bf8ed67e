"""Parts of quantized layers that vLLM's class renames otherwise than their weights, as the real 0.32.0 answered of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rtn_family import quantize_family

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.engines.vllm_models.names import engine_names
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

ADAPTER = "model.layers.1.shared_transformer.feed_forward.gate_up_proj_adapter_list.0"


def errors(folder: Path) -> list[str]:
    found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    return [finding.code for finding in found if finding.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("kind", "keep", "codes"),
    [
        ("w8a8-static", (), ["TEN034"]),
        ("w8a8-static", ("adapter",), ["TEN027"]),  # under these names vLLM is not asked whether to ignore them
        ("w8a8", (), []),
        ("w8a16", (), []),
        ("fp8", (), []),
    ],
)
def test_parts_that_the_class_does_not_rename(
    kind: str, keep: tuple[str, ...], codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = quantize_family(checkpoint("zamba2"), tmp_path / kind, kind=kind, head=False, keep=keep)
    assert errors(folder) == codes


@pytest.mark.parametrize("kind", ["w8a8-static", "w8a8", "w8a16"])
@pytest.mark.parametrize("family", ["llama", "gpt-neox", "granite-hybrid", "nemotron-h", "gemma3"])
def test_classes_that_rename_whole_modules(
    family: str, kind: str, checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    assert "TEN034" not in errors(quantize_family(checkpoint(family), tmp_path / kind, kind=kind, head=False))


@pytest.mark.parametrize(
    ("part", "place"), [("weight_scale", f"{ADAPTER}.A.weight_scale"), ("input_scale", f"{ADAPTER}.0.input_scale")]
)
def test_the_place_of_a_part(part: str, place: str) -> None:
    names = engine_names("Zamba2ForCausalLM")
    assert names is not None
    assert names.tensor(f"{ADAPTER}.0", part) == place
