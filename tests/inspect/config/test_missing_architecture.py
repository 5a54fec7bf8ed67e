"""Configs without an architecture: vLLM takes the class of transformers' base model, which may be one that generates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import all_tensors, edit_config, tiny_checkpoint, write_safetensors
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, Report, inspect_checkpoint
from ctq.recipe.recipe import Recipe

CheckpointFactory = Callable[..., Path]
WITHOUT = {
    "missing": lambda config: config.pop("architectures"),
    "null": lambda config: config.update(architectures=None),
    "empty": lambda config: config.update(architectures=[]),
}


def inspected(folder: Path, change: Callable[[dict[str, Any]], object]) -> Report:
    edit_config(folder, change)
    return inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())


def codes(report: Report, severity: Severity) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity is severity}


@pytest.mark.parametrize("way", WITHOUT)
def test_a_base_model_that_generates_is_served(checkpoint: CheckpointFactory, tmp_path: Path, way: str) -> None:
    quantize(checkpoint("llama"), tmp_path / "q")
    report = inspected(tmp_path / "q", WITHOUT[way])
    assert codes(report, Severity.ERROR) == set()
    assert "CFG022" in codes(report, Severity.WARNING)
    assert report.facts.config.architecture == "LlamaForCausalLM"
    assert [verdict.outcome.verdict for verdict in report.facts.engines if verdict.engine == "vllm"] == ["quantized"]


@pytest.mark.parametrize(("head", "severity"), [(True, Severity.ERROR), (False, Severity.WARNING)])
def test_a_base_model_that_only_pools_has_no_place_for_a_quantized_head(
    checkpoint: CheckpointFactory, tmp_path: Path, *, head: bool, severity: Severity
) -> None:
    quantize(checkpoint("nemotron-h"), tmp_path / "q", Recipe(lm_head=head))
    assert "CFG023" in codes(inspected(tmp_path / "q", WITHOUT["missing"]), severity)


@pytest.mark.parametrize(
    ("family", "head", "severity"),
    [("llama4-text", True, Severity.ERROR), ("solar-open", False, Severity.ERROR), ("gpt2", True, Severity.ERROR)],
)
def test_base_models_of_other_names(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, severity: Severity, *, head: bool
) -> None:
    quantize(checkpoint(family), tmp_path / "q", Recipe(lm_head=head))
    assert "CFG023" in codes(inspected(tmp_path / "q", WITHOUT["empty"]), severity)


@pytest.mark.parametrize(("family", "errors"), [("llava", set()), ("qwen3", set()), ("gpt-neox", {"CFG023"})])
def test_a_dense_head_is_dropped_or_refused(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, errors: set[str]
) -> None:
    quantize(checkpoint(family), tmp_path / "q", Recipe(lm_head=False))
    report = inspected(tmp_path / "q", WITHOUT["empty"])
    assert codes(report, Severity.ERROR) == errors
    assert "CFG022" in codes(report, Severity.WARNING)


def test_a_chat_model_generates(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("nanochat"), tmp_path / "q")
    assert codes(inspected(tmp_path / "q", WITHOUT["empty"]), Severity.ERROR) == set()


@pytest.mark.parametrize(("family", "errors"), [("llama4", set()), ("gemma3-mm", {"CFG022", "CFG023"})])
def test_wrappers(checkpoint: CheckpointFactory, tmp_path: Path, family: str, errors: set[str]) -> None:
    quantize(checkpoint(family), tmp_path / "q")
    assert codes(inspected(tmp_path / "q", WITHOUT["missing"]), Severity.ERROR) == errors


def test_a_model_type_that_stands_for_no_class_is_an_error(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llama"), tmp_path / "q")
    report = inspected(tmp_path / "q", lambda config: (config.pop("architectures"), config.update(model_type="wonder")))
    assert "CFG022" in codes(report, Severity.ERROR)


@pytest.mark.parametrize(("family", "severity"), [("deepseek-v3", Severity.WARNING), ("llama", Severity.ERROR)])
def test_a_scheme_of_the_cache_that_no_attention_reads(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, severity: Severity
) -> None:
    quantize(checkpoint(family), tmp_path / "q")
    scheme = {"num_bits": 8, "type": "int", "strategy": "tensor", "symmetric": True}
    report = inspected(tmp_path / "q", lambda config: config["quantization_config"].update(kv_cache_scheme=scheme))
    assert "CFG014" in codes(report, severity)


@pytest.mark.parametrize(("family", "severity"), [("qwen3.5", Severity.WARNING), ("llama", Severity.ERROR)])
def test_an_embedding_that_is_built_without_the_config(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, severity: Severity
) -> None:
    quantize(checkpoint(family), tmp_path / "q")

    def change(config: dict[str, Any]) -> None:
        next(iter(config["quantization_config"]["config_groups"].values()))["targets"].append("Embedding")

    assert "HED008" in codes(inspected(tmp_path / "q", change), severity)


def test_a_wrapper_without_its_text_model_is_an_error(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("gemma3-mm"), tmp_path / "q")
    report = inspected(tmp_path / "q", lambda config: config.pop("text_config"))
    assert "CFG022" in codes(report, Severity.ERROR)


def test_a_part_of_a_diffusers_pipeline_is_called_so(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "model")
    (folder / "config.json").write_text('{"_class_name": "UNet2DConditionModel", "sample_size": 64}')
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    assert [finding.message for finding in report.findings if finding.code == "CFG022"] == [
        "no architectures: it is the UNet2DConditionModel of a diffusers pipeline, no language model"
    ]


def test_of_a_model_that_says_nothing_of_a_head_none_is_asked(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "model")
    tensors = {name: tensor for name, tensor in all_tensors(folder).items() if "layers.0.mlp" in name}
    for shard in folder.glob("*.safetensors*"):
        shard.unlink()
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").unlink()
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    others = [verdict.outcome.reason for verdict in report.facts.engines if verdict.engine != "vllm"]
    assert others == ["no head is stored, and nothing says that there is one"] * 2


def test_code_of_ones_own_names_no_architecture_to_vllm(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    own = {"model_type": "my_chat", "auto_map": {"AutoConfig": "owner/name--configuration_chat.ChatConfig"}}
    report = inspected(folder, lambda config: (config.update(own), config.pop("architectures")))
    assert "CFG022" in codes(report, Severity.ERROR)
