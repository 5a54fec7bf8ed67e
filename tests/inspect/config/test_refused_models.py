"""Models that vLLM 0.32.0 serves under no config, and formats that are not judged here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config
from families import UNSERVED

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CheckpointError, PlanError
from ctq.findings import Severity
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, inspect_checkpoint
from ctq.quantize.plan import build_plan
from ctq.recipe.recipe import Recipe

CheckpointFactory = Callable[..., Path]


def errors(folder: Path, version: str) -> list[str]:
    report = inspect_checkpoint(
        open_checkpoint(LocalFolder(folder)), InspectOptions(engines=(EngineRequest("vllm", version),))
    )
    return [finding.code for finding in report.findings if finding.severity is Severity.ERROR]


@pytest.mark.parametrize("family", ["bamba", "mpt", "xglm", "minimax", *UNSERVED])
def test_an_architecture_that_neither_vllm_nor_its_backend_has(checkpoint: CheckpointFactory, family: str) -> None:
    assert errors(checkpoint(family), "0.32.0") == ["HED010"]


def test_its_head_is_not_quantized_without_a_word(checkpoint: CheckpointFactory) -> None:
    source, recipe = open_checkpoint(LocalFolder(checkpoint("T5ForConditionalGeneration"))), Recipe(lm_head=True)
    with pytest.raises(PlanError, match="its Transformers backend cannot build it"):
        build_plan(source, recipe, max_shard_size=2**30)
    build_plan(source, recipe, max_shard_size=2**30, allow_unsupported_head=True)


def test_labels_without_numbers(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("llama"), tmp_path / "labelled")
    edit_config(folder, lambda config: config.update(id2label={"0": "no", " 1": "yes"}))
    assert errors(folder, "0.32.0") == []
    edit_config(folder, lambda config: config.update(id2label={"no": "0"}))
    assert errors(folder, "0.32.0") == ["CFG022"]


def test_what_vllms_own_class_does_not_bear_inside_a_wrapper_of_the_backend(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("aya-vision"), tmp_path / "windowless")
    edit_config(folder, lambda config: config["text_config"].update(sliding_window=None))
    assert errors(folder, "0.32.0") == []


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
