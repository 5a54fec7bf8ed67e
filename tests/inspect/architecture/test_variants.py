"""Checkpoints whose config differs from their family's default: healthy ones pass, and what is missing in them is still found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_tensors
from families import build
from inspecting import error_list
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import PlanError
from ctq.inspect.report import InspectOptions, inspect_checkpoint
from ctq.recipe.recipe import Recipe, default_body
from ctq.recipe.schemes import SCHEMES, variant

BY_ROW = Recipe(body=default_body(variant(SCHEMES["W8A16"], strategy="channel")), lm_head=True)


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("qwen3-moe", {"mlp_only_layers": [0]}),
        ("qwen3-moe", {"decoder_sparse_step": 2}),
        ("gpt2", {"n_inner": 136}),
        ("deepseek-v3", {"q_lora_rank": None, "n_shared_experts": 2}),
        ("olmo2", {"head_dim": 64}),
        ("granite", {"head_dim": 64}),
        ("nemotron-h", {"mlp_hidden_act": "silu", "num_key_value_heads": 1}),
    ],
)
def test_variants_are_healthy(family: str, config: dict[str, Any], tmp_path: Path) -> None:
    quantize(build(family, tmp_path / "dense", config=config), tmp_path / "out")
    assert error_list(tmp_path / "out") == []


def test_heads_of_another_width_where_the_engine_does_not_read_it(tmp_path: Path) -> None:
    quantize(build("qwen2-moe", tmp_path / "dense", config={"head_dim": 64}), tmp_path / "out")
    assert error_list(tmp_path / "out") == ["TEN026"]


@pytest.mark.parametrize(
    "lost", ["layers.1.mlp.gate.weight", "layers.0.mlp.down_proj.weight", "layers.1.self_attn.q_norm.weight"]
)
def test_what_is_never_missing_beside_others_is_missed(lost: str, tmp_path: Path) -> None:
    dense = build("qwen3-moe", tmp_path / "dense", config={"mlp_only_layers": [0]})

    def lose(tensors: dict[str, Raw]) -> None:
        del tensors[f"model.{lost}"]

    edit_tensors(dense, lose)
    assert error_list(dense) == ["TEN025"]


def test_a_tied_head_may_have_a_bias(tmp_path: Path) -> None:
    dense = build("phi", tmp_path / "dense", tied=True)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(dense)), InspectOptions())
    assert report.facts.head.state == "tied"
    assert error_list(dense) == []


@pytest.mark.parametrize("family", ["qwen3-moe", "granite-moe"])
def test_weight_only_experts_by_row_need_a_width_that_their_kernel_takes(family: str, tmp_path: Path) -> None:
    quantize(build(family, tmp_path / "128"), tmp_path / "out", BY_ROW)
    assert error_list(tmp_path / "out") == []
    dense = build(family, tmp_path / "192", config={"hidden_size": 192, "head_dim": 32})
    with pytest.raises(PlanError, match="a multiple of 128, not 192"):
        quantize(dense, tmp_path / "narrow", BY_ROW)
