"""Sizes made of numbers that few architectures have: state spaces, linear attention, shared experts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_tensors
from families import build
from inspecting import error_list


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
