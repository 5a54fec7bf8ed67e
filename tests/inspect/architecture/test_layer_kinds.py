"""Dense layers and layers of experts: as many as transformers builds of a config, and not those of another config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from builders import edit_tensors
from dense_builder import edit_config
from families import build
from inspecting import errors
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

CASES = [
    ("deepseek-v3", {"first_k_dense_replace": 1}, {"first_k_dense_replace": 0}),
    ("deepseek-v2", {"first_k_dense_replace": 0}, {"first_k_dense_replace": 1}),
    ("glm4-moe", {"first_k_dense_replace": 2}, {"first_k_dense_replace": 1}),
    ("hy-v3", {"first_k_dense_replace": 1}, {"first_k_dense_replace": 2}),
    ("qwen3-moe", {"mlp_only_layers": [0]}, {"mlp_only_layers": []}),
    ("qwen2-moe", {"decoder_sparse_step": 2}, {"decoder_sparse_step": 1}),
    ("dots1", {"first_k_dense_replace": 1}, {"first_k_dense_replace": 0}),
    ("afmoe", {"num_dense_layers": 1}, {"num_dense_layers": 2}),
    ("llama4-text", {"interleave_moe_layer_step": 1}, {"interleave_moe_layer_step": 2}),
    ("granite-hybrid", {}, {"layer_types": ["full_attention", "linear_attention"]}),
    ("nemotron-h", {}, {"layers_block_type": ["mlp", "full_attention", "linear_attention"]}),
    ("ernie4.5-moe", {"moe_layer_start_index": 1, "moe_layer_interval": 1}, {"moe_layer_start_index": 0}),
]

DENSE = [
    ("lfm2-moe", {"num_dense_layers": 1}, {"num_dense_layers": 0}),
    ("jamba", {}, {"expert_layer_offset": 0}),
    ("jamba", {}, {"attn_layer_offset": 0}),
    ("cohere2-moe", {}, {"mlp_layer_types": ["dense", "sparse"]}),
    ("qwen3-next", {}, {"mlp_only_layers": [0]}),
    ("qwen3-next", {}, {"layer_types": ["full_attention", "linear_attention"]}),
    ("zamba2", {}, {"layers_block_type": ["linear_attention", "linear_attention"]}),
    ("zamba2", {}, {"layers_block_type": ["mamba", "mamba"]}),
    ("zamba2", {}, {"layers_block_type": ["hybrid", "hybrid"]}),
]
"""Families whose head is not quantized."""


@pytest.mark.parametrize(("family", "built", "other"), CASES)
def test_layers_are_of_the_kind_that_the_config_says(
    tmp_path: Path, family: str, built: dict[str, Any], other: dict[str, Any]
) -> None:
    quantize(build(family, tmp_path / "dense", config=built), tmp_path / "out")
    assert "TEN033" not in _codes(tmp_path / "out")
    edit_config(tmp_path / "out", lambda config: config.update(other))
    assert "TEN033" in _codes(tmp_path / "out")


@pytest.mark.parametrize(("family", "built", "other"), DENSE)
def test_dense_layers_are_of_the_kind_that_the_config_says(
    tmp_path: Path, family: str, built: dict[str, Any], other: dict[str, Any]
) -> None:
    folder = build(family, tmp_path / "dense", config=built)
    assert "TEN033" not in _codes(folder)
    edit_config(folder, lambda config: config.update(other))
    assert "TEN033" in _codes(folder)


@pytest.mark.parametrize(
    ("family", "other"),
    [
        ("gemma2", {"layer_types": ["full_attention", "sliding_attention"]}),
        ("dots1", {"moe_layer_freq": 2}),
        ("llama4-text", {"moe_layers": [1]}),
        ("falcon-h1", {"layer_types": ["full_attention", "linear_attention"]}),
    ],
)
def test_what_vllm_does_not_read_is_no_error(tmp_path: Path, family: str, other: dict[str, Any]) -> None:
    folder = build(family, tmp_path / "dense")
    edit_config(folder, lambda config: config.update(other))
    assert "TEN033" not in _codes(folder)


def test_what_the_class_assumes_counts_where_the_config_says_nothing(tmp_path: Path) -> None:
    quantize(build("deepseek-v3", tmp_path / "dense", config={"first_k_dense_replace": 1}), tmp_path / "out")
    edit_config(tmp_path / "out", lambda config: config.pop("first_k_dense_replace"))
    assert "TEN033" in _codes(tmp_path / "out")


def _codes(folder: Path) -> list[str]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize(
    ("family", "other", "code"),
    [
        ("qwen3-vl-moe", {"decoder_sparse_step": 2}, "TEN033"),
        ("qwen3-vl-moe", {"mlp_only_layers": [0]}, "TEN033"),
        ("qwen3-vl-moe", {"decoder_sparse_step": 0}, "CFG022"),
        ("learnt-Glm4vMoeForConditionalGeneration", {"first_k_dense_replace": 0}, "TEN033"),
        ("llama4", {"interleave_moe_layer_step": 2}, "TEN033"),
    ],
)
def test_layers_of_experts_inside_a_wrapper(family: str, other: dict[str, Any], code: str, tmp_path: Path) -> None:
    folder = build(family, tmp_path / "dense")
    assert not {"TEN033", "CFG022"} & {*_codes(folder)}
    edit_config(folder, lambda config: config["text_config"].update(other))
    assert code in _codes(folder)


def test_layers_of_experts_inside_a_wrapper_of_any_text_model(tmp_path: Path) -> None:
    folder = build("qwen3-moe", tmp_path / "dense")

    def wrap(config: dict[str, Any]) -> None:
        text = dict(config)
        config.clear()
        config |= {"model_type": "internvl_chat", "architectures": ["InternVLChatModel"], "llm_config": text}

    edit_config(folder, wrap)
    edit_tensors(
        folder, lambda tensors: tensors.update({f"language_model.{name}": tensors.pop(name) for name in list(tensors)})
    )
    assert "TEN033" not in _codes(folder)
    edit_config(folder, lambda config: config["llm_config"].update(mlp_only_layers=[0]))
    assert "TEN033" in _codes(folder)


def test_layers_of_the_text_model_inside_a_wrapper(tmp_path: Path) -> None:
    folder = build("lfm2-vl", tmp_path / "dense")
    assert "TEN033" not in _codes(folder)
    edit_config(folder, lambda config: config["text_config"]["layer_types"].reverse())
    assert "TEN033" in _codes(folder)


@pytest.mark.parametrize(
    ("family", "name", "codes"),
    [
        ("deepseek-v3", "model.layers.0.mlp.gate.e_score_correction_bias", {"TEN033"}),
        ("deepseek-v3", "model.layers.0.mlp.gate.weight", {"TEN033"}),
        ("deepseek-v3", "model.layers.1.mlp.up_proj.weight", {"TEN033"}),
        ("exaone-moe", "model.layers.0.mlp.e_score_correction_bias", set()),
        ("exaone-moe", "model.layers.0.mlp.gate.weight", {"TEN033"}),
        ("hy-v3", "model.layers.0.mlp.shared_mlp.up_proj.weight", {"TEN033"}),
        ("mimo-v2-flash", "model.layers.0.mlp.gate.e_score_correction_bias", set()),
    ],
)
def test_in_a_layer_of_the_other_kind(family: str, name: str, codes: set[str], tmp_path: Path) -> None:
    build(family, tmp_path)

    def copy(tensors: dict[str, Any]) -> None:
        own, other = name.split(".")[2], {"0": "1", "1": "0"}
        tensors[name] = tensors[name.replace(f"layers.{own}.", f"layers.{other[own]}.")]

    edit_tensors(tmp_path, copy)
    found = errors(tmp_path)
    assert found & {"TEN033"} == codes
    assert bool(found) == bool(codes)
