"""A `model_type` that does not go with the architecture: what vLLM 0.32.0 made of each was asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from builders import edit_tensors
from dotted_values import GONE, put

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]
Json = Mapping[str, Any]


def errors(source: Path, folder: Path, changes: Json) -> list[str]:
    """Return what inspection has against a checkpoint with some keys of its config changed, "text_config.key" those inside."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    for path, value in changes.items():
        put(config, path, value)
    (folder / "config.json").write_text(json.dumps(config))
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    return [finding.message for finding in report.findings if finding.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("family", "changes", "said"),
    [
        ("falcon", {"model_type": "gpt_neox"}, "'gpt_neox' does not go with FalconForCausalLM, which reads"),
        (
            "llama",
            {"model_type": "falcon"},
            "head_dim is stated, which the class of model_type 'falcon' works out itself",
        ),
        ("qwen2.5-vl", {"architectures": ["LlavaForConditionalGeneration"]}, "vLLM wants a LlavaConfig"),
        ("nemotron", {"model_type": "mistral"}, "vLLM wants a NemotronConfig"),
        ("llama", {"model_type": ["llama"]}, "model_type is no text"),
        ("llama", {"model_type": 3}, "model_type is no text"),
        ("llava", {"text_config.model_type": ["llama"]}, "text_config.model_type is no text"),
        ("llava", {"text_config.model_type": "Llama"}, "text_config.model_type 'Llama' is no model type"),
        ("llava", {"text_config.model_type": ""}, "text_config.model_type '' is no model type"),
        ("qwen2.5-vl", {"text_config.model_type": {}}, "text_config.model_type is no text"),
        (
            "qwen3.5-vl",
            {"text_config.model_type": "granite"},
            "'granite' is none that Qwen3_5ForConditionalGeneration takes",
        ),
        ("paligemma", {"text_config.model_type": "llava"}, "'llava' does not go with Gemma2ForCausalLM, which reads"),
        ("llava", {"text_config.model_type": "internvl"}, "'internvl' is that of no text model"),
        ("llava-onevision", {"vision_config.model_type": "siglip2_vision_model"}, "is no tower of LlavaOnevision"),
        ("llava-onevision", {"text_config.model_type": "granite"}, "it has no part to split by layers"),
        ("mixtral", {"architectures": ["Olmo2ForCausalLM"]}, "does not serve models of type 'mixtral'"),
        ("qwen3", {"model_type": "mistral3"}, "'mistral3' does not go with Qwen3ForCausalLM, which reads hidden_size"),
        ("phi3", {"model_type": "qwen2_vl"}, "'qwen2_vl' does not go with Phi3ForCausalLM, which reads"),
        ("mixtral", {"model_type": "internvl"}, "'internvl' does not go with MixtralForCausalLM, which has experts"),
        ("qwen2", {"model_type": "gemma3_text"}, "whose rotary embedding is one"),
        ("llama", {"model_type": "deepseek_v2"}, "num_key_value_heads*head_dim = 128"),
        ("granite", {"model_type": "qwen3"}, "num_key_value_heads*head_dim = 256"),
        ("qwen3", {"architectures": ["LlamaModel"]}, "LlamaModel has no model.layers"),
        ("mistral", {"architectures": ["Qwen2Model"]}, "missing from the files"),
        ("gptj", {"model_type": "llama"}, "which reads hidden_size: configs of that type do not call it n_embd"),
        ("idefics3", {"text_config.model_type": "falcon"}, "text_config.head_dim is stated"),
    ],
)
def test_refused(checkpoint: CheckpointFactory, tmp_path: Path, family: str, changes: Json, said: str) -> None:
    assert any(said in message for message in errors(checkpoint(family), tmp_path / "odd", changes))


@pytest.mark.parametrize(
    ("family", "model_type", "key"),
    [
        ("gemma2", "gemma", "attn_logit_softcapping"),
        ("stablelm", "gpt2", "rope_parameters"),
    ],
)
def test_a_key_that_only_its_own_class_has(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, model_type: str, key: str
) -> None:
    source = checkpoint(family)
    assert errors(source, tmp_path / "own", {key: GONE}) == []
    found = errors(source, tmp_path / "other", {"model_type": model_type, key: GONE})
    assert any(f"{model_type!r} does not go with" in message and key in message for message in found)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"model_type": "mistral"}),
        ("qwen2", {"model_type": "llama"}),
        ("qwen2.5-vl", {"text_config.model_type": "unknown_model"}),
        ("qwen2.5-vl", {"vision_config.model_type": {}}),
        ("paligemma", {"architectures": ["SmolLM3ForCausalLM"]}),
        ("granite", {"architectures": ["Phi3ForCausalLM"]}),
        ("granite-moe", {"model_type": "llava"}),
    ],
)
def test_served_all_the_same(checkpoint: CheckpointFactory, tmp_path: Path, family: str, changes: Json) -> None:
    assert errors(checkpoint(family), tmp_path / "odd", changes) == []


def test_a_head_model_is_no_base_model(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    """`GPT2LMHeadModel` ends as `GPT2Model` does, and vLLM refuses a tensor that it does not know in it."""
    folder = shutil.copytree(checkpoint("gpt2"), tmp_path / "strange")
    edit_tensors(folder, lambda tensors: tensors.update(training_step=next(iter(tensors.values()))))
    assert any("has no training_step" in message for message in errors(folder, tmp_path / "copy", {}))
