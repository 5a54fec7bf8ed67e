"""Strangers that loaders of vLLM leave unread: beside experts, by an ending, as the bias of a layer that is not there."""

from __future__ import annotations

from math import prod
from pathlib import Path

import pytest
from builders import Raw, edit_tensors
from families import build
from inspecting import errors
from sweep_quantize import quantize_as

LAYER = "model.layers.1"
EXPERT = f"{LAYER}.mlp.experts.0"


def with_a_stranger(family: str, name: str, folder: Path, shape: tuple[int, ...] = (8,)) -> Path:
    build(family, folder)
    stranger = Raw("BF16", shape, bytes(2 * prod(shape)))
    edit_tensors(folder, lambda tensors: tensors.update({name: stranger}))
    return folder


@pytest.mark.parametrize(
    ("family", "name", "codes"),
    [
        ("qwen3-moe", f"{EXPERT}.up_proj_stranger.weight", set()),
        ("qwen3-moe", f"{EXPERT}.adapter.weight", set()),
        ("qwen3-moe", f"{EXPERT}.up_proj.adapter", {"TEN024"}),
        ("qwen3-moe", f"{LAYER}.mlp.adapter.weight", {"TEN024"}),
        ("mixtral", f"{LAYER}.block_sparse_moe.experts.0.w1_stranger.weight", set()),
        ("mimo-v2-flash", f"{EXPERT}.up_proj_stranger.weight", set()),
        ("mimo-v2-flash", f"{LAYER}.mlp.adapter.weight", set()),
        ("learnt-qwen3-omni", "thinker.model.layers.1.mlp.experts.0.up_proj_stranger.weight", set()),
        ("deepseek-v3", f"{EXPERT}.up_proj_stranger.weight", {"TEN024"}),
        ("llama", f"{EXPERT}.up_proj.weight", {"TEN024"}),
    ],
)
def test_beside_experts(family: str, name: str, codes: set[str], tmp_path: Path) -> None:
    assert errors(with_a_stranger(family, name, tmp_path, (8, 8))) == codes


@pytest.mark.parametrize(
    ("family", "name", "codes"),
    [
        ("qwen3-moe", f"{LAYER}.mlp.gate.e_score_correction_bias", set()),
        ("qwen3-moe", f"{LAYER}.mlp.e_score_correction_bias", set()),
        ("qwen3-moe", f"{LAYER}.mlp.router.e_score_correction_bias", {"TEN024"}),
        ("qwen3-moe", f"{LAYER}.self_attn.q_proj.correction_bias", {"TEN024"}),
        ("qwen3-moe", f"{LAYER}.input_layernorm.weight_scale", set()),
        ("lfm2-moe", "model.layers.1.feed_forward.extra_bias", set()),
        ("lfm2-moe", "model.layers.1.feed_forward.extra_weight_scale", {"TEN024"}),
        ("qwen2-moe", f"{LAYER}.mlp.gate.e_score_correction_bias", {"TEN024"}),
        ("mixtral", f"{LAYER}.input_layernorm.weight_scale", {"TEN024"}),
    ],
)
def test_by_an_ending(family: str, name: str, codes: set[str], tmp_path: Path) -> None:
    assert errors(with_a_stranger(family, name, tmp_path)) == codes


@pytest.mark.parametrize(
    ("family", "name", "codes"),
    [
        ("llama", f"{LAYER}.mlp.adapter.bias", {"TEN024"}),
        ("llama", "adapter.bias", {"TEN024"}),
        ("llama", f"{LAYER}.input_layernorm.bias", set()),
        ("llama", f"{LAYER}.mlp.bias", set()),
        ("llama", f"{LAYER}.self_attn.qkv_proj.bias", set()),
        ("deepseek-v3", f"{LAYER}.mlp.adapter.bias", set()),
        ("deepseek-v3", "adapter.bias", {"TEN024"}),
    ],
)
def test_biases(family: str, name: str, codes: set[str], tmp_path: Path) -> None:
    assert errors(with_a_stranger(family, name, tmp_path)) & {"TEN024"} == codes


def test_in_a_quantized_one(tmp_path: Path) -> None:
    made = quantize_as("W8A8", build("qwen3-moe", tmp_path / "dense"), tmp_path / "out").folder
    for part in ("weight", "weight_scale"):
        name = f"{EXPERT}.up_proj.{part}"
        edit_tensors(made, lambda tensors, own=name: tensors.update({own.replace("_proj", "_lora"): tensors[own]}))
    assert errors(made) == set()


@pytest.mark.parametrize(("family", "codes"), [("deepseek-v3", {"TEN024"}), ("qwen3-moe", set()), ("mixtral", set())])
def test_a_bias_of_an_expert(family: str, codes: set[str], tmp_path: Path) -> None:
    layer = f"{LAYER}.block_sparse_moe.experts.0.w2" if family == "mixtral" else f"{EXPERT}.down_proj"
    assert errors(with_a_stranger(family, f"{layer}.bias", tmp_path, (128,))) == codes
