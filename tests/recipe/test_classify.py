"""What a tensor is, told from its name, its shape and the config."""

from __future__ import annotations

import re

import pytest

from ctq.checkpoint.config import ModelConfig
from ctq.checkpoint.header import TensorInfo
from ctq.recipe.classify import Classifier
from ctq.recipe.kinds import Kind

CONFIG = ModelConfig({"model_type": "some", "num_hidden_layers": 4, "num_experts": 8})


def classify(name: str, shape: tuple[int, ...] = (256, 128), dtype: str = "BF16", config: ModelConfig = CONFIG) -> Kind:
    return Classifier(config).classify(TensorInfo(name, dtype, shape, 0, 0)).kind


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.3.mlp.gate_proj.weight",
        "model.layers.0.mlp.experts.5.w1.weight",
        "model.layers.1.self_attn.kv_a_proj_with_mqa.weight",
        "transformer.h.0.attn.c_attn.weight",
        "model.language_model.layers.0.self_attn.o_proj.weight",
        "model.layers.0.mlp.shared_expert.gate_proj.weight",
        "backbone.layers.0.mixer.in_proj.weight",
        "model.layers.0.conv.in_proj.weight",
        "gpt_neox.layers.0.attention.query_key_value.weight",
        "model.layers.0.self_attn.gate_proj.weight",
    ],
)
def test_linear_layers(name: str) -> None:
    assert classify(name) is Kind.LINEAR


def test_a_tower_may_have_more_layers_than_the_language_model() -> None:
    assert classify("model.visual.blocks.7.attn.proj.weight") is Kind.TOWER
    assert classify("model.layers.7.mlp.up_proj.weight") is Kind.DRAFT


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("model.embed_tokens.weight", (320, 128), Kind.EMBEDDING),
        ("transformer.wte.weight", (320, 128), Kind.EMBEDDING),
        ("gpt_neox.embed_in.weight", (320, 128), Kind.EMBEDDING),
        ("model.layers.0.self_attn.q_norm.weight", (8, 16), Kind.NORM),
        ("model.layers.0.input_layernorm.weight", (128,), Kind.NORM),
        ("model.layers.0.input_layernorm.W_up.weight", (128, 16), Kind.NORM),
        ("model.layers.0.self_attn.q_proj.bias", (128,), Kind.PARAMETER),
        ("model.layers.0.mlp.gate.weight", (8, 128), Kind.ROUTER),
        ("model.layers.0.block_sparse_moe.gate.weight", (8, 128), Kind.ROUTER),
        ("model.layers.0.mlp.router.weight", (8, 128), Kind.ROUTER),
        ("model.layers.0.mlp.router.classifier.weight", (8, 128), Kind.ROUTER),
        ("score.weight", (2, 128), Kind.CLASSIFIER),
        ("score.0.weight", (128, 128), Kind.CLASSIFIER),
        ("classifier.dense.weight", (128, 128), Kind.CLASSIFIER),
        ("bert.pooler.dense.weight", (128, 128), Kind.CLASSIFIER),
        ("pooling.dense.weight", (128, 128), Kind.CLASSIFIER),
        ("head.dense.weight", (128, 128), Kind.CLASSIFIER),
        ("model.layers.0.mlp.shared_expert_gate.weight", (1, 128), Kind.ROUTER),
        ("backbone.layers.0.mixer.conv1d.weight", (128, 1, 4), Kind.CONVOLUTION),
        ("backbone.layers.0.mixer.A_log", (128, 16), Kind.PARAMETER),
        ("backbone.layers.0.mixer.dt_proj.weight", (128, 8), Kind.STATE_SPACE),
        ("model.visual.blocks.0.attn.qkv.weight", (384, 128), Kind.TOWER),
        ("visual.merger.mlp.0.weight", (384, 128), Kind.TOWER),
        ("vision_tower.encoder.layers.0.mlp.fc1.weight", (384, 128), Kind.TOWER),
        ("model.altup_unembed_projections.0.weight", (128, 128), Kind.LINEAR),
        ("model.layers.0.altup.correction_coefs.weight", (4, 4), Kind.ROUTER),
        ("model.multi_modal_projector.linear_1.weight", (384, 128), Kind.PROJECTOR),
        ("mtp.layers.0.mlp.up_proj.weight", (384, 128), Kind.DRAFT),
        ("model.layers.4.mlp.up_proj.weight", (384, 128), Kind.DRAFT),
        ("model.layers.4.enorm.weight", (128,), Kind.DRAFT),
        ("model.layers.0.mlp.experts.gate_up_proj", (8, 512, 128), Kind.FUSED_EXPERTS),
        ("model.layers.0.block_sparse_moe.input_linear.weight", (8, 512, 128), Kind.FUSED_EXPERTS),
    ],
)
def test_what_is_not_quantized(name: str, shape: tuple[int, ...], kind: Kind) -> None:
    assert classify(name, shape) is kind


def test_conv1d_models_store_their_weights_transposed() -> None:
    gpt2 = ModelConfig({"model_type": "gpt2"})
    assert classify("transformer.h.0.attn.c_attn.weight", (128, 384), config=gpt2) is Kind.TRANSPOSED
    assert classify("h.0.mlp.c_fc.weight", (128, 512), config=gpt2) is Kind.TRANSPOSED


def test_integers_are_no_weights() -> None:
    assert classify("model.layers.0.mlp.up_proj.weight", dtype="I8") is Kind.PARAMETER


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.0.mlp.gate.weight",
        "model.visual.blocks.0.attn.qkv.weight",
        "mtp.layers.0.up_proj.weight",
        "model.layers.4.up.weight",
        "model.layers.0.mlp.router.weight",
        "multi_modal_projector.weight",
        "score.weight",
        "score.0.weight",
        "bert.pooler.dense.weight",
        "head.dense.weight",
    ],
)
def test_the_ignore_pattern_of_an_exclusion_matches_its_module(name: str) -> None:
    found = Classifier(CONFIG).classify(TensorInfo(name, "BF16", (8, 128), 0, 0))
    assert found.ignore is not None
    assert re.match(found.ignore.removeprefix("re:"), name.removesuffix(".weight"))
    assert not re.match(found.ignore.removeprefix("re:"), "model.layers.0.mlp.up_proj")


@pytest.mark.parametrize(("name", "nameless"), [("score.weight", False), ("score.2.weight", True)])
def test_only_the_layers_of_a_reward_models_output_are_asked_about_without_a_name(name: str, *, nameless: bool) -> None:
    """MiniCPM3's `q_a_proj` is so too, which is quantized beside a `score` of one layer."""
    found = Classifier(CONFIG).classify(TensorInfo(name, "BF16", (8, 128), 0, 0))
    assert found.ignore is not None
    assert (re.match(found.ignore.removeprefix("re:"), "") is not None) is nameless


def test_a_gate_is_ignored_under_the_name_that_transformers_gives_it_too() -> None:
    found = Classifier(CONFIG).classify(TensorInfo("model.layers.0.mlp.gate.weight", "BF16", (8, 128), 0, 0))
    assert found.ignore is not None
    assert re.match(found.ignore.removeprefix("re:"), "model.layers.0.mlp.router")


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.experts.0.gate_proj"),
        ("model.layers.0.block_sparse_moe.input_linear.weight", "model.layers.0.block_sparse_moe.experts.0.w1"),
    ],
)
def test_fused_experts_are_ignored_under_the_names_that_vllm_asks_for(name: str, engine: str) -> None:
    found = Classifier(CONFIG).classify(TensorInfo(name, "BF16", (8, 512, 128), 0, 0))
    assert found.kind is Kind.FUSED_EXPERTS
    assert found.ignore is not None
    for module in (name.removesuffix(".weight"), engine):
        assert re.match(found.ignore.removeprefix("re:"), module)
    assert not re.match(found.ignore.removeprefix("re:"), "model.layers.0.mlp.shared_experts.up_proj")


@pytest.mark.parametrize("engine", ["vpm.encoder.layers.0.mlp.fc1", ".encoder.layers.0.self_attn.qkv"])
def test_towers_are_ignored_under_the_names_that_vllm_gives_them(engine: str) -> None:
    found = Classifier(CONFIG).classify(
        TensorInfo("vision_model.encoder.layers.0.mlp.fc1.weight", "BF16", (8, 128), 0, 0)
    )
    assert found.ignore is not None
    assert re.match(found.ignore.removeprefix("re:"), engine)
    assert not re.match(found.ignore.removeprefix("re:"), "model.encoder.layers.0.mlp.fc1")
    assert not re.match(found.ignore.removeprefix("re:"), ".lm_head")


def test_projectors_are_ignored_under_the_names_that_engines_give_them() -> None:
    found = Classifier(CONFIG).classify(TensorInfo("model.mm_projector.0.weight", "BF16", (128, 128), 0, 0))
    assert found.ignore is not None
    for module in ("model.mm_projector.0", "multi_modal_projector.linear_1", "model.projector"):
        assert re.match(found.ignore.removeprefix("re:"), module)
    assert not re.match(found.ignore.removeprefix("re:"), "model.layers.0.mlp.up_proj")


@pytest.mark.parametrize(
    "module",
    ["model.visual.blocks.0.attn.qkv", "model.layers.0.mlp.router", "multi_modal_projector", "model.mm_projector.0"],
)
def test_an_ignore_pattern_names_nothing_twice(module: str) -> None:
    found = Classifier(CONFIG).classify(TensorInfo(f"{module}.weight", "BF16", (8, 128), 0, 0))
    assert found.ignore is not None
    assert re.match(found.ignore.removeprefix("re:"), module)
    names = re.findall(r"\w+", found.ignore)
    assert len(names) == len(set(names))
