"""Sizes that a switch of the config decides, and numbers that a config states under two names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors
from families import build
from inspecting import error_list
from quantizing import quantize

LAYOUTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("falcon", {}),
    ("falcon", {"multi_query": False}),
    ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    ("gpt-bigcode", {}),
    ("gpt-bigcode", {"multi_query": False}),
)
FUSED = ("query_key_value.weight", "c_attn.weight")


def double(tensors: dict[str, Raw]) -> None:
    for name, old in list(tensors.items()):
        if name.endswith(FUSED):
            tensors[name] = Raw(old.dtype, (2 * old.shape[0], *old.shape[1:]), old.data * 2)


@pytest.mark.parametrize(("family", "config"), LAYOUTS)
def test_rows_of_a_fused_projection(family: str, config: dict[str, Any], tmp_path: Path) -> None:
    dense = build(family, tmp_path / "dense", config=config)
    assert error_list(dense) == []
    edit_tensors(dense, double)
    assert error_list(dense) == ["TEN026"]


def test_a_switch_left_out_is_what_the_model_type_assumes(tmp_path: Path) -> None:
    dense = build("falcon", tmp_path / "dense")
    edit_config(dense, lambda config: config.pop("multi_query"))
    assert error_list(dense) == []
    edit_tensors(dense, double)
    assert error_list(dense) == ["TEN026"]


def test_another_name_of_a_number_wins(tmp_path: Path) -> None:
    quantize(build("gpt2", tmp_path / "dense"), tmp_path / "q")
    edit_config(tmp_path / "q", lambda config: config.update(max_position_embeddings=256))
    assert error_list(tmp_path / "q") == []
    edit_config(tmp_path / "q", lambda config: config.update(max_position_embeddings=1))
    assert error_list(tmp_path / "q") == ["TEN026"]


def test_experts_counted_as_none_are_not_missed(tmp_path: Path) -> None:
    dense = build("granite-hybrid", tmp_path / "dense", config={"num_local_experts": 0, "num_experts_per_tok": 0})
    assert error_list(dense) == []
    edit_config(dense, lambda config: config.update(num_local_experts=4))
    assert error_list(dense) == ["TEN025"]
