"""Patterns that begin with a prefix: vLLM matches them with the names of its own model class, not with those in the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]
FAMILIES = {
    "qwen2.5-vl": ("re:model\\.layers\\..*", "re:language_model\\.model\\.layers\\..*"),
    "gpt-neox": ("re:gpt_neox\\.layers\\..*", "re:model\\.layers\\..*"),
    "nemotron-h": ("re:backbone\\.layers\\..*", "re:model\\.layers\\..*"),
}
"""Families whose files call the layers otherwise than vLLM does: a pattern for the files' names, and one for the engine's."""


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def quantized(checkpoint: CheckpointFactory, tmp_path: Path, family: str) -> Path:
    quantize(checkpoint(family), tmp_path / "quantized")
    return tmp_path / "quantized"


def errors(folder: Path, *, targets: list[str] | None = None, ignore: list[str] | None = None) -> list[str]:
    """Inspect the checkpoint with other patterns; return the codes of its errors."""

    def change(config: dict[str, dict[str, dict[str, dict[str, list[str]]]]]) -> None:
        quant = config["quantization_config"]
        body = next(group for group in quant["config_groups"].values() if group["targets"] == ["Linear"])
        body["targets"] = targets or body["targets"]
        quant["ignore"] += ignore or []  # type: ignore[operator]  # JSON

    edit_config(folder, change)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    return [finding.code for finding in report.findings if finding.severity is Severity.ERROR]


def test_a_target_with_the_prefix_of_the_files_reaches_nothing(quantized: Path, family: str) -> None:
    assert errors(quantized, targets=[FAMILIES[family][0]]) == ["TEN027"]


def test_a_target_with_the_prefix_of_the_engine_reaches_the_layers(quantized: Path, family: str) -> None:
    assert errors(quantized, targets=[FAMILIES[family][1]]) == []


def test_an_ignored_prefix_of_the_files_ignores_nothing(quantized: Path, family: str) -> None:
    assert errors(quantized, ignore=[FAMILIES[family][0]]) == []


def test_an_ignored_prefix_of_the_engine_ignores_the_layers(quantized: Path, family: str) -> None:
    assert errors(quantized, ignore=[FAMILIES[family][1]]) == ["TEN027"]
