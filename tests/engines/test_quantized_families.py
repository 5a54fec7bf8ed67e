"""What `ctq quantize` writes, family by family, in the real vLLM: the head dispatched, every element loaded, nothing converted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config
from families import build
from mirrored import build_mirrored
from mirrored_multimodal import MIRRORED_MULTIMODAL
from mirrored_text import MIRRORED_TEXT
from quantizing import quantize

from ctq.recipe.recipe import Recipe, default_body
from ctq.recipe.schemes import SCHEMES
from ctq.verify.engines.vllm.facts import Outcome
from ctq.verify.engines.vllm.questions import VllmRequest, generate_vllm, run_vllm

pytestmark = pytest.mark.engine
CheckpointFactory = Callable[..., Path]

FAMILIES = [
    "llama", "llama-tied", "llama-odd-vocab", "qwen2", "qwen3-tied", "qwen3-moe", "mixtral", "deepseek-v3", "phi3", "gemma3",
    "gemma3-mm", "gpt-neox", "falcon", "qwen2.5-vl", "phimoe", "granite", "olmo2", "glm4-moe", "starcoder2", "nemotron-h",
    "granite-moe", "llama4-text", "qwen3-vl-moe",
]  # fmt: skip
BESIDE = ["MiniCPMV4_6ForConditionalGeneration", "Phi4MultimodalForCausalLM", "Exaone4_5_ForConditionalGeneration"]
"""Towers that the files call otherwise than the engine, or that no list of names knows."""
SPARSE = ["learnt-deepseek-v3.2", "learnt-glm-5"]
"""Sparse attention, for which a CPU has no backend: CUDA's stands in."""
MIRRORED = [
    "internlm2",
    "chatglm",
    "ling-2",
    "telechat2",
    "mimo-v2",
    "minicpm-v-2.6",
    "phi-4-siglip",
    "internvl-internlm2",
    "kimi-vl",
]
"""Architectures that transformers does not know, under their published names."""
RECIPES = {
    "W8A8": Recipe(lm_head=True),
    "W8A16": Recipe(body=default_body(SCHEMES["W8A16"]), lm_head=True),
    "mixed": Recipe(lm_head=True, lm_head_scheme=SCHEMES["W8A16"]),
    "head-out": Recipe(lm_head=False),
}


@pytest.mark.parametrize("name", RECIPES)
def test_vllm_loads_every_family_as_promised(
    checkpoint: CheckpointFactory, tmp_path: Path, vllm_python: Path, name: str
) -> None:
    requests = []
    for family in FAMILIES:
        quantize(checkpoint(family), tmp_path / family, RECIPES[name])
        requests.append(VllmRequest(checkpoint=tmp_path / family))
    for family, found in zip(FAMILIES, run_vllm(requests, python=vllm_python), strict=True):
        assert found.outcome is Outcome.LOADED, (family, found.error)
        assert not found.never_loaded, (family, found.never_loaded)
        assert not found.partly_loaded, (family, found.partly_loaded)
        assert not found.converted, (family, found.converted)
        method = "UnquantizedEmbeddingMethod" if name == "head-out" else "CompressedTensorsLinearMethod"
        assert {head.quant_method for head in found.heads} == {method}, family


@pytest.mark.parametrize("families", [BESIDE, SPARSE], ids=["unknown towers", "sparse attention"])
def test_vllm_loads_what_is_out_of_the_way(tmp_path: Path, vllm_python: Path, families: list[str]) -> None:
    requests = []
    for family in families:
        quantize(build(family, tmp_path / f"{family}-dense"), tmp_path / family)
        requests.append(VllmRequest(checkpoint=tmp_path / family))
    for family, found in zip(families, run_vllm(requests, python=vllm_python), strict=True):
        assert found.outcome is Outcome.LOADED, (family, found.error)
        assert not found.never_loaded, (family, found.never_loaded)
        assert not found.converted, (family, found.converted)
        assert {head.quant_method for head in found.heads} == {"CompressedTensorsLinearMethod"}, family


def test_vllm_loads_what_transformers_does_not_know(tmp_path: Path, vllm_python: Path) -> None:
    rows = [row for row in (*MIRRORED_TEXT, *MIRRORED_MULTIMODAL) if row.name in MIRRORED]
    assert build_mirrored(rows, tmp_path / "dense", python=vllm_python) == {}
    requests = []
    for row in rows:
        requests.append(VllmRequest(checkpoint=tmp_path / "dense" / row.name))
        quantize(tmp_path / "dense" / row.name, tmp_path / row.name, RECIPES["mixed"])
        requests.append(VllmRequest(checkpoint=tmp_path / row.name))
    for request, found in zip(requests, run_vllm(requests, python=vllm_python), strict=True):
        assert found.outcome is Outcome.LOADED, (request.checkpoint, found.error)
        assert not found.never_loaded, (request.checkpoint, found.never_loaded)
        assert not found.partly_loaded, (request.checkpoint, found.partly_loaded)
        assert not found.converted, (request.checkpoint, found.converted)
        if request.checkpoint.parent != tmp_path / "dense":
            assert {head.quant_method for head in found.heads} == {"CompressedTensorsLinearMethod"}, request.checkpoint


def test_what_only_a_checkpoints_own_code_would_set_is_left_undecided(tmp_path: Path, vllm_python: Path) -> None:
    rows = [row for row in MIRRORED_TEXT if row.name == "internlm2"]
    assert build_mirrored(rows, tmp_path, python=vllm_python) == {}
    edit_config(tmp_path / "internlm2", lambda config: config.pop("rms_norm_eps"))
    [found] = run_vllm([VllmRequest(checkpoint=tmp_path / "internlm2")], python=vllm_python)
    assert found.outcome is Outcome.UNDECIDED, found.error


def test_the_tiny_llama_generates(checkpoint: CheckpointFactory, tmp_path: Path, vllm_python: Path) -> None:
    quantize(checkpoint("llama"), tmp_path / "out")
    done = generate_vllm(tmp_path / "out", python=vllm_python, tokens=4)
    assert len(done.generated) == 4
