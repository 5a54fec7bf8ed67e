"""Values of a config that the real vLLM 0.32.0 refuses before it builds a model, and values that it takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config
from dotted_values import GONE, put

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

CheckpointFactory = Callable[..., Path]
REFUSED = [
    ("granite-hybrid", "logits_scaling", 0, "logits_scaling is 0"),
    ("gemma2", "query_pre_attn_scalar", 0, "query_pre_attn_scalar is 0"),
    ("dots1", "n_routed_experts", GONE, "n_routed_experts is missing"),
    ("glm4-moe", "head_dim", GONE, "head_dim is missing"),
    ("glm4-moe", "rope_parameters.partial_rotary_factor", -0.5, "is negative"),
    ("llama", "max_position_embeddings", -1, "max_position_embeddings is -1: vLLM serves no length"),
    ("gpt2", "n_positions", -1, "n_positions is -1"),
    ("llama", "max_position_embeddings", 0, "max_position_embeddings is 0"),
    ("llama", "num_hidden_layers", 0, "num_hidden_layers is 0"),
    ("llama", "rope_parameters.rope_theta", None, "rope_parameters.rope_theta is null"),
    ("llama", "rope_parameters.rope_type", ["default"], "['default']' is no kind"),
    ("llama", "rope_parameters.rope_type", 3, "'3' is no kind"),
    ("llama", "rope_parameters.partial_rotary_factor", 2, "rotates a share of '2', which is not between 0 and 1"),
    ("stablelm", "rope_parameters.partial_rotary_factor", "a half", "rotates a share of 'a half'"),
    ("qwen3.5-vl", "text_config.rope_parameters.partial_rotary_factor", [0.25], "rotates a share of '[0.25]'"),
    ("bloom", "rope_parameters", "yarn", "rope_parameters takes an object or null"),
    ("phimoe", "rope_parameters", {"rope_type": "yarn", "factor": 4.0}, "has no number for short_mscale"),
    ("qwen3-moe", "decoder_sparse_step", 0, "decoder_sparse_step is 0"),
    ("opt", "num_attention_heads", 5, "num_attention_heads of 5 does not divide the hidden size of 128"),
    ("granite-hybrid", "mamba_d_head", 64, "mamba_d_head * mamba_n_heads != mamba_expand * hidden_size"),
    ("falcon-h1", "mamba_d_head", 64, "mamba_d_head * mamba_n_heads"),
    ("jamba", "expert_layer_period", 1, "expert_layer_offset >= expert_layer_period"),
    ("jamba", "num_attention_heads", 8, "64 where the config says num_key_value_heads*head_dim = 32"),
    ("afmoe", "score_func", GONE, "score_func is missing"),
    ("cohere2-moe", "mlp_layer_types", ["sparse"], "names 1 layers, not 2"),
    ("llama4", "text_config.no_rope_layers", [1], "no_rope_layers has 1 values, where vLLM reads 2"),
    ("smollm3", "no_rope_layers", [1], "no_rope_layers has 1 values, where vLLM reads 2"),
    ("zamba2", "num_attention_heads", 8, "attention_head_dim * num_attention_heads != attention_hidden_size"),
    ("lfm2", "conv_dim", 256, "conv_dim != hidden_size"),
    ("nemotron-h", "layers_block_type", GONE, "missing from the files: backbone.layers.3.norm.weight"),
    ("minimax-m2", "use_routing_bias", GONE, "e_score_correction_bias"),
    ("HrmTextForCausalLM", "num_layers_per_stack", GONE, "HrmTextForCausalLM has no model.H_module.layers.{2-15}"),
    ("granite-hybrid", "attention_multiplier", None, "attention_multiplier is null"),
    ("falcon-h1", "mamba_d_state", None, "mamba_d_state is null"),
    ("falcon-h1", "mlp_multipliers", [], "mlp_multipliers has 0 values, where vLLM reads 2"),
    ("qwen2.5-vl", "text_config.max_position_embeddings", 0, "text_config.max_position_embeddings is 0"),
]
TAKEN = [
    ("falcon", "ffn_hidden_size", 1024),
    ("llama4", "text_config.no_rope_layers", []),
    ("glm4-moe-lite", "mlp_layer_types", ["dense"]),
    ("llama", "rms_norm_eps", 0.0),
    ("llama", "attention_multiplier", 0),
    ("deepseek-v3", "routed_scaling_factor", 0.0),
    ("granite", "residual_multiplier", 0),
    ("gemma2", "tie_word_embeddings", False),
    ("gemma2", "final_logit_softcapping", None),
]


@pytest.mark.parametrize(("family", "key", "value", "words"), REFUSED)
def test_what_vllm_refuses(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, key: str, value: object, words: str
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "own")
    assert _errors(folder) == []
    edit_config(folder, lambda config: put(config, key, value))
    assert any(words in message for message in _errors(folder)), _errors(folder)


def test_an_architecture_that_was_not_asked_is_held_to_refuse_what_nearly_all_refuse(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("llama"), tmp_path / "own")
    edit_config(folder, lambda config: config.update(architectures=["AquilaForCausalLM"], max_position_embeddings=0))
    assert any("max_position_embeddings is 0" in message for message in _errors(folder))


@pytest.mark.parametrize(("family", "key", "value"), TAKEN)
def test_what_vllm_takes(checkpoint: CheckpointFactory, tmp_path: Path, family: str, key: str, value: object) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "own")
    edit_config(folder, lambda config: put(config, key, value))
    assert _errors(folder) == []


def test_a_pattern_of_letters_stands_for_the_list_of_layers(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("nemotron-h"), tmp_path / "own")
    edit_config(folder, lambda config: [config.pop("layers_block_type"), config.update(hybrid_override_pattern="M*-")])
    assert _errors(folder) == []
    edit_config(folder, lambda config: config.update(hybrid_override_pattern="M-*"))
    assert any("layer 1 is one of attention in the files" in message for message in _errors(folder))


@pytest.mark.parametrize(
    ("family", "values"),
    [
        ("llama", {"hidden_size": "%"}),
        ("llama", {"hidden_size": "%d", "num_attention_heads": float("inf")}),
        ("granite-hybrid", {"mamba_expand": [2], "mamba_n_heads": "8"}),
        ("jamba", {"attn_layer_offset": None, "attn_layer_period": [2]}),
    ],
)
def test_values_that_no_condition_is_worked_out_of(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, values: dict[str, object]
) -> None:
    """Python formats a text where a number leaves a rest, and repeats a list where one multiplies."""
    folder = shutil.copytree(checkpoint(family), tmp_path / "own")
    edit_config(folder, lambda config: config.update(values))
    messages = _errors(folder)
    assert any("takes an integer" in message for message in messages), messages
    assert not any("loaders refuse a config where" in message for message in messages)


def _errors(folder: Path) -> list[str]:
    findings = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    return [finding.message for finding in findings if finding.severity is Severity.ERROR]


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 1e308, 10**400])
def test_a_factor_that_no_width_is_multiplied_with_is_borne(
    checkpoint: CheckpointFactory, tmp_path: Path, factor: float
) -> None:
    rounded = {"block_auto_adjust_ff_dim": True, "block_multiple_of": 8, "block_ff_dim": 10**30}
    folder = shutil.copytree(checkpoint("lfm2"), tmp_path / "own")
    edit_config(folder, lambda config: config.update(block_ffn_dim_multiplier=factor, **rounded))
    assert _errors(folder)


@pytest.mark.parametrize("share", [float("nan"), float("inf"), 10**400, "half", [1]])
def test_a_share_that_no_width_is_multiplied_with_is_borne(
    checkpoint: CheckpointFactory, tmp_path: Path, share: object
) -> None:
    rope = {"rope_type": "longrope", "short_factor": [1], "long_factor": [1], "partial_rotary_factor": share}
    folder = shutil.copytree(checkpoint("llama"), tmp_path / "own")
    edit_config(folder, lambda config: config.update(rope_parameters=rope, partial_rotary_factor=share))
    _errors(folder)


@pytest.mark.parametrize(
    ("family", "key", "value", "said"),
    [
        ("llama", "rope_theta", None, "rope_theta is null"),
        ("glm4", "partial_rotary_factor", 0.0, "partial_rotary_factor is 0"),
    ],
)
def test_rotary_settings_of_older_configs_lie_at_the_top(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, key: str, value: object, said: str
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "older")

    def older(config: dict[str, object]) -> None:
        del config["rope_parameters"]
        config[key] = value

    edit_config(folder, older)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    assert any(finding.message.endswith(f"{said}, which vLLM does not bear") for finding in report.findings)
