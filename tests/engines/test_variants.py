"""Variants of the families' configs, quantized, in the real vLLM: every element loaded, nothing converted, and inspection agrees."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from families import FAMILIES, build_family
from quantizing import quantize
from sweep_claims import inspected

from ctq.recipe.recipe import Recipe
from ctq.verify.engines.vllm.facts import Outcome
from ctq.verify.engines.vllm.questions import VllmRequest, run_vllm

pytestmark = pytest.mark.engine

CLASSIFIER = replace(FAMILIES["qwen2"], architecture="Qwen2ForSequenceClassification", head=None)
VARIANTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "dense layers among experts": (FAMILIES["qwen3-moe"], {"mlp_only_layers": [0]}),
    "experts in every other layer": (FAMILIES["llama4-text"], {"interleave_moe_layer_step": 2}),
    "other norms": (FAMILIES["falcon"], {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "a width of its own": (FAMILIES["gptj"], {"n_inner": 136}),
    "queries in one step": (FAMILIES["deepseek-v3"], {"q_lora_rank": None, "n_shared_experts": 2}),
    "a classifier": (CLASSIFIER, {}),
}
"""Configs that differ from the default of their family, by what differs."""


def test_vllm_loads_variants_and_inspection_agrees(tmp_path: Path, vllm_python: Path) -> None:
    requests = []
    for number, (family, config) in enumerate(VARIANTS.values()):
        dense = build_family(family, tmp_path / f"{number}", config=config)
        quantize(dense, tmp_path / f"{number}-out", Recipe(lm_head=None))
        assert not inspected(tmp_path / f"{number}-out").errors, family.name
        requests.append(VllmRequest(checkpoint=tmp_path / f"{number}-out"))
    for name, found in zip(VARIANTS, run_vllm(requests, python=vllm_python), strict=True):
        assert found.outcome is Outcome.LOADED, (name, found.error)
        assert not found.never_loaded, (name, found.never_loaded)
        assert not found.partly_loaded, (name, found.partly_loaded)
        assert not found.converted, (name, found.converted)
