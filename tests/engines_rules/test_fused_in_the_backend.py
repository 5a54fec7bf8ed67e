"""What vLLM's Transformers backend fuses, by the names that it was seen to build."""

from __future__ import annotations

import pytest

from ctq.engines.vllm.fused import DEFAULT_FUSED, fused_mapping


@pytest.mark.parametrize(
    ("architecture", "fused", "apart"),
    [
        ("BioGptForCausalLM", {"merged_proj_6_k_proj_6_v_proj": ("k_proj", "v_proj")}, ["qkv_proj", "kv_proj"]),
        ("BitNetForCausalLM", {"qkv_proj": ("q_proj", "k_proj", "v_proj")}, ["gate_up_proj"]),
        ("ZayaForCausalLM", {}, ["qkv_proj"]),
        ("SmolLM3ForCausalLM", DEFAULT_FUSED, []),
        ("LlamaForCausalLM", DEFAULT_FUSED, []),
    ],
)
def test_fused_layers(architecture: str, fused: dict[str, tuple[str, ...]], apart: list[str]) -> None:
    found = fused_mapping(architecture)
    assert fused.items() <= found.items()
    assert found.keys().isdisjoint(apart)
