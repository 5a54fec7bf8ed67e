"""Modules as vLLM calls them, against what the real one asked its config about (benchmarks/learn/engine_names.py)."""

from __future__ import annotations

import pytest

from ctq.engines.vllm_models.names import EngineNames, engine_names


@pytest.mark.parametrize(
    ("architecture", "inner", "module", "place"),
    [
        ("LlamaForCausalLM", None, "model.layers.0.mlp.up_proj", "model.layers.0.mlp.up_proj"),
        ("GPTNeoXForCausalLM", None, "gpt_neox.layers.1.attention.dense", "model.layers.1.attention.dense"),
        ("NemotronHForCausalLM", None, "backbone.layers.0.mixer.in_proj", "model.layers.0.mixer.in_proj"),
        (
            "Qwen2_5_VLForConditionalGeneration",
            "qwen2_5_vl_text",
            "model.language_model.layers.0.mlp.up_proj",
            "language_model.model.layers.0.mlp.up_proj",
        ),
        ("Qwen2_5_VLForConditionalGeneration", None, "model.layers.0.mlp", "language_model.model.layers.0.mlp"),
        ("Qwen2_5_VLForConditionalGeneration", None, "lm_head", "language_model.lm_head"),
        (
            "Gemma3ForConditionalGeneration",
            "gemma3_text",
            "language_model.model.layers.0.mlp",
            "language_model.model.layers.0.mlp",
        ),
        ("MixtralForCausalLM", None, "a.experts.0.gate_proj", "a.experts.0.w1"),
        (
            "Lfm2VlForConditionalGeneration",
            "lfm2",
            "model.language_model.layers.0.conv.in_proj",
            "language_model.model.layers.0.short_conv.in_proj",
        ),
        ("Qwen3_5ForConditionalGeneration", None, "mtp.layers.0.mlp.up_proj", None),
    ],
)
def test_modules_have_the_names_of_the_engine(
    architecture: str, inner: str | None, module: str, place: str | None
) -> None:
    names = engine_names(architecture, inner)
    assert names is not None
    assert names.module(module) == place


@pytest.mark.parametrize(
    ("architecture", "layer", "asked"),
    [
        ("GraniteMoeHybridForCausalLM", "model.layers.3.mamba.in_proj", "model.layers.3.mixer.in_proj"),
        ("GraniteMoeHybridForCausalLM", "model.layers.3.self_attn.o_proj", "model.layers.3.self_attn.o_proj"),
        ("MiniMaxM2ForCausalLM", "model.layers.0.block_sparse_moe.experts", "model.layers.0.mlp.experts"),
        ("MiniCPM3ForCausalLM", "model.layers.0.self_attn.q_a_proj", ""),
    ],
)
def test_layers_that_the_config_is_asked_about_otherwise(architecture: str, layer: str, asked: str) -> None:
    names = engine_names(architecture)
    assert names is not None
    assert names.prefix(layer) == asked


def test_only_plain_names_with_a_dot_are_mapped() -> None:
    names = engine_names("Qwen2_5_VLForConditionalGeneration")
    assert names is not None
    assert names.pattern("model.language_model.layers.0") == "language_model.model.layers.0"
    assert names.pattern("re:model.language_model.*") == "re:model.language_model.*"
    assert names.pattern("lm_head") == "lm_head"


def test_what_a_mapper_drops_is_renamed_by_nobody() -> None:
    names = EngineNames(tables={"prefix": [["mtp.", None], ["model.", "language_model.model."]]})
    assert names.module("mtp.fc") is None
    assert names.pattern("mtp.fc") == "mtp.fc"


def test_classes_that_are_not_known_have_no_names() -> None:
    assert engine_names("WonderfulForCausalLM") is None
