"""Tensors that a switch of the config brings: where vLLM needs them, where it takes them, and where it does not look."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Finding
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
