"""Experts that vLLM's methods do not take: dense ones in one tensor, not in `ignore`, and INT8 with one scale to a tensor.

Each is as the real vLLM 0.32.0 answered.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors
from quantizing import quantize
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


@pytest.mark.parametrize(("family", "codes"), [("qwen3-moe", ["TEN027"]), ("llama", [])])
def test_int8_with_one_scale_to_a_tensor(
    family: str, codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / family
    quantize(checkpoint(family), folder)
    edit_tensors(folder, one_scale_to_a_tensor)
    edit_config(folder, lambda config: [weights.update(strategy="tensor") for weights in weights_of(config)])
    found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    assert [finding.code for finding in found if finding.severity is Severity.ERROR] == codes


def weights_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    return [group["weights"] for group in config["quantization_config"]["config_groups"].values()]


def one_scale_to_a_tensor(tensors: dict[str, Raw]) -> None:
    for name, scale in tensors.items():
        if name.endswith(".weight_scale"):
            tensors[name] = Raw(scale.dtype, (1,), scale.data[: len(scale.data) // scale.shape[0]])


@pytest.mark.parametrize(
    ("weights", "inputs", "codes"),
    [("channel", "token", []), ("tensor", "token", ["TEN027"]), ("channel", "tensor", ["TEN027"])],
)
def test_scales_of_fp8_experts_and_of_their_activations(
    weights: str, inputs: str, codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = quantize_family(checkpoint("qwen3-moe"), tmp_path / "m", kind="fp8", head=False)
    if weights == "tensor":
        edit_tensors(folder, one_scale_to_a_tensor)

    def state(config: dict[str, Any]) -> None:
        for group in config["quantization_config"]["config_groups"].values():
            group["weights"].update(strategy=weights)
            group["input_activations"].update(strategy=inputs, dynamic=True)

    edit_config(folder, state)
    found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    assert [finding.code for finding in found if finding.severity is Severity.ERROR] == codes
