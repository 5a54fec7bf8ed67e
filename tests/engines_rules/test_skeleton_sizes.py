"""Sizes that were learnt hold in configs that differ from those they were learnt from."""

from __future__ import annotations

from typing import Any

import pytest
from families import FAMILIES
from learnt_sizes import changed, odd_sizes


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"attention_bias": True, "num_key_value_heads": 4}),
        ("llama", {"attention_bias": True, "num_attention_heads": 8}),
        ("jamba", {"mamba_expand": 4}),
        ("jamba", {"hidden_size": 256}),
        ("zamba2", {"mamba_expand": 4}),
        ("granite-hybrid", {"mamba_expand": 4, "mamba_n_heads": 16}),
        ("nemotron-h", {"mamba_num_heads": 4}),
        ("deepseek-v3", {"v_head_dim": 64}),
    ],
)
def test_a_changed_config_has_the_learnt_sizes(family: str, changes: dict[str, Any]) -> None:
    outline = changed(FAMILIES[family], changes)
    assert outline is not None, "transformers builds no such model"
    assert list(odd_sizes(FAMILIES[family], outline)) == []
