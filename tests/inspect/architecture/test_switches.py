"""Tensors that a switch of the config brings: where vLLM needs them, where it takes them, and where it does not look."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_config, edit_tensors

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Finding, Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]


def found(folder: Path) -> list[Finding]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    return [finding for finding in report.findings if finding.code in ("TEN025", "TEN032")]


@pytest.mark.parametrize(
    ("family", "switch", "built", "stated", "words"),
    [
        ("llama", "attention_bias", True, True, None),
        ("llama", "attention_bias", False, True, "missing from the files: model.layers.0.self_attn.k_proj.bias"),
        ("llama", "attention_bias", True, False, None),  # vLLM passes over biases that a model does not have
        ("gemma", "attention_bias", False, True, None),  # its Gemma has none, whatever the switch says
        ("cohere", "use_qk_norm", True, True, None),
        ("cohere", "use_qk_norm", True, False, "no place for model.layers.0.self_attn.k_norm.weight where `use_qk_norm` is false"),
        ("llama4-text", "attention_bias", True, True, "no place for model.layers.0.self_attn.k_proj.bias"),
        ("qwen2-moe", "qkv_bias", False, False, "missing from the files: model.layers.0.self_attn.k_proj.bias"),
        ("falcon", "parallel_attn", False, True, "no place for transformer.h.0.post_attention_layernorm.bias"),
        ("granite-hybrid", "mamba_conv_bias", True, False, "no place for model.layers.0.mamba.conv1d.bias"),
        ("granite-hybrid", "mamba_conv_bias", False, True, "missing from the files: model.layers.0.mamba.conv1d.bias"),
        ("granite-hybrid", "attention_bias", False, True, "missing from the files: model.layers.1.self_attn.k_proj.bias"),
        ("nemotron-h", "use_bias", False, True, "missing from the files: backbone.layers.0.mixer.in_proj.bias"),
        ("mistral", "attention_bias", False, True, "missing from the files: model.layers.0.self_attn.k_proj.bias"),
        ("minimax-m2", "use_routing_bias", True, False, "no place for model.layers.0.block_sparse_moe.e_score_correction_bias"),
        ("opt", "do_layer_norm_before", True, False, "no place for model.decoder.final_layer_norm"),
        ("opt", "do_layer_norm_before", False, False, None),
        ("mistral", "mlp_bias", False, True, "missing from the files: model.layers.0.mlp.down_proj.bias"),
        ("stablelm", "use_parallel_residual", True, True, "missing from the files: model.layers.0.post_attention_layernorm"),
    ],
)  # fmt: skip
def test_a_switch_and_its_tensors(
    checkpoint: CheckpointFactory,
    tmp_path: Path,
    family: str,
    switch: str,
    built: bool,
    stated: bool,
    words: str | None,
) -> None:
    folder = shutil.copytree(checkpoint(family, config={switch: built}), tmp_path / "c")
    edit_config(folder, lambda config: config.update({switch: stated}))
    findings = found(folder)
    assert bool(findings) is (words is not None), findings
    assert words is None or words in findings[0].message


def test_of_two_switches_that_of_fewer_tensors_wins(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("mistral"), tmp_path / "c")
    edit_config(folder, lambda config: config.update(attention_bias=True, qkv_bias=False))
    [finding] = found(folder)
    assert finding.message.startswith("missing from the files: model.layers.0.self_attn.o_proj.bias")
    assert "k_proj" not in finding.message


def test_biases_of_a_switch_that_only_vllm_reads_are_known(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("mistral"), tmp_path / "c")
    edit_config(folder, lambda config: config.update(attention_bias=True))
    edit_tensors(folder, _with_biases)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    assert [finding for finding in report.findings if finding.severity is Severity.ERROR] == []


def _with_biases(tensors: dict[str, Raw]) -> None:
    for name, raw in list(tensors.items()):
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight")):
            rows = raw.shape[0]
            tensors[name.replace(".weight", ".bias")] = Raw(raw.dtype, (rows,), bytes(2 * rows))


@pytest.mark.parametrize(
    ("family", "architecture", "method", "words"),
    [
        ("deepseek-v2", "DeepseekV2ForCausalLM", "greedy", None),
        ("deepseek-v2", "DeepseekV3ForCausalLM", "greedy", None),
        ("deepseek-v2", "DeepseekV2ForCausalLM", "noaux_tc", "missing"),
        ("deepseek-v2", "DeepseekV3ForCausalLM", "noaux_tc", "missing"),
        ("deepseek-v3", "DeepseekV2ForCausalLM", "noaux_tc", None),
        ("deepseek-v3", "DeepseekV3ForCausalLM", "greedy", "no place"),
    ],
)
def test_a_router_has_a_correction_by_its_method(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, architecture: str, method: str, words: str | None
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "c")
    edit_config(folder, lambda config: config.update(architectures=[architecture], topk_method=method))
    findings = found(folder)
    assert bool(findings) == (words is not None)
    assert words is None or words in findings[0].message
    assert all("model.layers.1.mlp.gate.e_score_correction_bias" in finding.message for finding in findings)
