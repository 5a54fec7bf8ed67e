"""Sizes made of numbers that few architectures have: state spaces, linear attention, shared experts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_tensors
from families import build
from inspecting import error_list, errors


@pytest.mark.parametrize(
    ("family", "config", "end"),
    [
        ("nemotron-h", {"n_groups": 2, "ssm_state_size": 64}, "mixer.in_proj.weight"),
        ("qwen3.5", {"linear_num_value_heads": 8, "linear_key_head_dim": 64}, "linear_attn.in_proj_qkv.weight"),
        ("afmoe", {"num_shared_experts": 2}, "shared_experts.up_proj.weight"),
        ("mixtral", {"head_dim": 64}, "self_attn.q_proj.weight"),
    ],
)
def test_rows_beyond_what_the_config_says(family: str, config: dict[str, Any], end: str, tmp_path: Path) -> None:
    dense = build(family, tmp_path / "dense", config=config)
    assert error_list(dense) == []

    def double(tensors: dict[str, Raw]) -> None:
        for name, old in list(tensors.items()):
            if name.endswith(end):
                tensors[name] = Raw(old.dtype, (2 * old.shape[0], *old.shape[1:]), old.data * 2)

    edit_tensors(dense, double)
    assert "TEN026" in error_list(dense)


@pytest.mark.parametrize(
    ("family", "tensor"),
    [
        ("dots1", "self_attn.k_norm.weight"),
        ("jamba", "mamba.dt_layernorm.weight"),
        ("olmoe", "self_attn.k_norm.weight"),
    ],
)
def test_a_tensor_of_one_layer_that_is_shorter_than_in_the_others(family: str, tensor: str, tmp_path: Path) -> None:
    folder = build(family, tmp_path / family, config={"num_hidden_layers": 3})
    assert errors(folder) == set()

    def cut(tensors: dict[str, Raw]) -> None:
        name = next(name for name in tensors if name.endswith(tensor))
        rows, width = tensors[name].shape[0], len(tensors[name].data) // tensors[name].shape[0]
        tensors[name] = Raw(tensors[name].dtype, (rows - 1,), tensors[name].data[:-width])

    edit_tensors(folder, cut)
    assert errors(folder) == {"TEN031"}
