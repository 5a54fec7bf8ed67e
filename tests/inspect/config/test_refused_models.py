"""Models that vLLM 0.32.0 serves under no config, and formats that are not judged here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CheckpointError
from ctq.findings import Severity
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]


def errors(folder: Path, version: str) -> list[str]:
    report = inspect_checkpoint(
        open_checkpoint(LocalFolder(folder)), InspectOptions(engines=(EngineRequest("vllm", version),))
    )
    return [finding.code for finding in report.findings if finding.severity is Severity.ERROR]


@pytest.mark.parametrize("family", ["bamba", "mpt", "xglm", "minimax"])
def test_an_architecture_that_neither_vllm_nor_its_backend_has(checkpoint: CheckpointFactory, family: str) -> None:
    assert errors(checkpoint(family), "0.32.0") == ["HED010"]


def test_an_older_release_had_it(checkpoint: CheckpointFactory) -> None:
    assert errors(checkpoint("bamba"), "0.20.0") == []


def test_mistrals_own_format_is_not_judged(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("mistral"), tmp_path / "own")
    (folder / "config.json").rename(folder / "params.json")
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")
    with pytest.raises(CheckpointError, match="Mistral's own format"):
        open_checkpoint(LocalFolder(folder))


def test_a_hugging_face_checkpoint_beside_its_params_is_read(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("mistral"), tmp_path / "own")
    shutil.copy(folder / "config.json", folder / "params.json")
    assert errors(folder, "0.32.0") == []
