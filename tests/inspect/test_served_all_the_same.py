"""What other loaders refuse or no format allows, and vLLM serves right: a warning, and the verification passes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import INDEX, Raw, edit_json, edit_tensors
from quantizing import INCLUDED, quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint
from ctq.verify.engine_names import EngineName
from ctq.verify.report import Verdict
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

CheckpointFactory = Callable[..., Path]


def severities(folder: Path, code: str) -> list[Severity]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    return [finding.severity for finding in report.findings if finding.code == code]


def verified(folder: Path) -> Verdict:
    return verify(VerifyRequest(checkpoint=folder, engines=(EngineName("builtin"),), tokens=4, workers=1)).verdict


@pytest.mark.parametrize(("shape", "severity"), [((), Severity.WARNING), ((1,), Severity.ERROR)])
def test_one_scale_for_all_rows_of_an_expert(
    checkpoint: CheckpointFactory, tmp_path: Path, shape: tuple[int, ...], severity: Severity
) -> None:
    quantize(checkpoint("qwen3-moe"), tmp_path / "q")
    name = "model.layers.0.mlp.experts.1.down_proj.weight_scale"
    edit_tensors(tmp_path / "q", lambda tensors: tensors.update({name: Raw("BF16", shape, b"\x80\x3f")}))
    assert severities(tmp_path / "q", "TEN011") == [severity]
    assert (verified(tmp_path / "q") is Verdict.PASS) is (severity is Severity.WARNING)


def test_one_scale_for_all_rows_of_another_layer_is_an_error(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llama"), tmp_path / "q")
    name = "model.layers.0.mlp.down_proj.weight_scale"
    edit_tensors(tmp_path / "q", lambda tensors: tensors.update({name: Raw("BF16", (), b"\x80\x3f")}))
    assert severities(tmp_path / "q", "TEN011") == [Severity.ERROR]


def test_a_quantized_draft_head_that_the_model_class_drops(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("qwen3.5-vl"), tmp_path / "q", replace(INCLUDED, lm_head=False))
    codes = np.random.default_rng(0).integers(-127, 128, 320 * 128, np.int8).tobytes()
    draft = {"weight": Raw("I8", (320, 128), codes), "weight_scale": Raw("BF16", (320, 1), b"\x80\x3f" * 320)}
    edit_tensors(tmp_path / "q", lambda tensors: tensors.update({f"mtp.lm_head.{part}": draft[part] for part in draft}))
    assert severities(tmp_path / "q", "TEN005") == severities(tmp_path / "q", "TEN024") == [Severity.WARNING]
    assert verified(tmp_path / "q") is Verdict.PASS
    edit_tensors(
        tmp_path / "q", lambda tensors: tensors.update({f"draft.lm_head.{part}": draft[part] for part in draft})
    )
    assert severities(tmp_path / "q", "TEN024") == [Severity.ERROR]


@pytest.mark.parametrize("family", ["llama", "qwen2.5-vl"])
def test_an_index_under_other_names(checkpoint: CheckpointFactory, tmp_path: Path, family: str) -> None:
    quantize(checkpoint(family), tmp_path / "q", max_shard_size=200_000)

    def rename(index: dict[str, dict[str, str]]) -> None:
        index["weight_map"] = {f"model.{name}": file for name, file in index["weight_map"].items()}

    edit_json(tmp_path / "q" / INDEX, rename)
    assert severities(tmp_path / "q", "FIL008") == [Severity.WARNING]
    assert verified(tmp_path / "q") is Verdict.PASS


def test_a_tensor_that_the_index_promises_and_the_model_needs_is_an_error(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    quantize(checkpoint("qwen2.5-vl"), tmp_path / "q", max_shard_size=200_000)
    index = json.loads((tmp_path / "q" / INDEX).read_text())
    lost = next(name for name in index["weight_map"] if name.endswith("k_proj.bias"))
    edit_tensors(tmp_path / "q", lambda tensors: tensors.pop(lost))
    (tmp_path / "q" / INDEX).write_text(json.dumps(index))
    assert severities(tmp_path / "q", "FIL008") == [Severity.ERROR]


def test_an_architecture_that_no_loader_knows_fails_the_verification(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    quantize(checkpoint("llama"), tmp_path / "q")
    edit_json(tmp_path / "q" / "config.json", lambda config: config.update(architectures=["WonderfulForCausalLM"]))
    assert verified(tmp_path / "q") is Verdict.FAIL


def test_consolidated_weights_that_hold_the_whole_quantized_model(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    quantize(checkpoint("llama"), tmp_path / "q", max_shard_size=200_000)
    shards = sorted((tmp_path / "q").glob("model-*.safetensors"))
    assert len(shards) > 1
    shutil.copy(shards[0], tmp_path / "q" / "consolidated-1.safetensors")
    assert severities(tmp_path / "q", "FIL007") == [Severity.ERROR]
    for number, shard in enumerate(shards, start=1):
        shutil.copy(shard, tmp_path / "q" / f"consolidated-{number}.safetensors")
    assert severities(tmp_path / "q", "FIL007") == [Severity.WARNING] * len(shards)
    assert verified(tmp_path / "q") is Verdict.PASS


def write_ignore_as_an_object(quantization: dict[str, Any]) -> None:
    quantization["ignore"] = dict.fromkeys(quantization["ignore"], True)


def write_formats_as_a_list(quantization: dict[str, Any]) -> None:
    for group in quantization["config_groups"].values():
        group["format"] = quantization["format"]
    quantization["format"] = [quantization["format"]]


@pytest.mark.parametrize("write", [write_ignore_as_an_object, write_formats_as_a_list])
def test_a_form_of_the_config_that_vllm_does_not_look_at(
    checkpoint: CheckpointFactory, tmp_path: Path, write: Callable[[dict[str, Any]], None]
) -> None:
    quantize(checkpoint("qwen3-moe"), tmp_path / "q")
    edit_json(tmp_path / "q" / "config.json", lambda config: write(config["quantization_config"]))
    report = inspect_checkpoint(open_checkpoint(LocalFolder(tmp_path / "q")), InspectOptions())
    worst = {finding.code for finding in report.findings if finding.severity is Severity.ERROR}
    assert worst == set()
    assert verified(tmp_path / "q") is Verdict.PASS


def test_a_list_of_formats_that_a_group_needs_is_an_error(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llama"), tmp_path / "q")

    def write(config: dict[str, Any]) -> None:
        write_formats_as_a_list(config["quantization_config"])
        for group in config["quantization_config"]["config_groups"].values():
            del group["format"]

    edit_json(tmp_path / "q" / "config.json", write)
    assert severities(tmp_path / "q", "CFG003") == [Severity.ERROR]


@pytest.mark.parametrize(
    ("targets", "severity"), [(["re:.*nowhere$"], Severity.WARNING), (["re:.*down_proj$"], Severity.ERROR)]
)
def test_a_group_without_a_format_of_its_own(
    checkpoint: CheckpointFactory, tmp_path: Path, targets: list[str], severity: Severity
) -> None:
    quantize(checkpoint("llama"), tmp_path / "q")

    def write(config: dict[str, Any]) -> None:
        quantization = config["quantization_config"]
        for group in quantization["config_groups"].values():
            group["format"] = group.get("format") or quantization["format"]
        first = next(iter(quantization["config_groups"].values()))
        quantization["config_groups"]["without"] = {**first, "targets": targets, "format": None}
        quantization["format"] = "mixed-precision"

    edit_json(tmp_path / "q" / "config.json", write)
    assert severities(tmp_path / "q", "CFG006") == [severity]
    assert (verified(tmp_path / "q") is Verdict.PASS) is (severity is Severity.WARNING)
