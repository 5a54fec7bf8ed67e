"""A tiny configuration of any model class: its own defaults, with every known size made small at every level."""

from __future__ import annotations

from typing import Any, Final

SIZES: Final[dict[str, int]] = {
    "vocab_size": 320, "hidden_size": 128, "d_model": 128, "n_embd": 128, "embed_dim": 128, "dim": 128, "hidden_dim": 128,
    "intermediate_size": 256, "ffn_dim": 256, "n_inner": 256, "ffn_hidden_size": 256, "intermediate_size_mlp": 256,
    "encoder_ffn_dim": 256, "decoder_ffn_dim": 256, "d_ff": 256, "dense_intermediate_size": 256,
    "moe_intermediate_size": 128, "shared_expert_intermediate_size": 128, "expert_hidden_dim": 128,
    "expert_ffn_hidden_size": 128, "moe_shared_expert_intermediate_size": 128, "shared_intermediate_size": 128,
    "num_hidden_layers": 2, "num_layers": 2, "n_layer": 2, "n_layers": 2, "encoder_layers": 2, "decoder_layers": 2, "depth": 2,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4, "attention_heads": 4, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32, "d_kv": 32, "d_head": 32, "attention_head_dim": 32,
    "kv_lora_rank": 128, "q_lora_rank": 128, "o_lora_rank": 128, "qk_rope_head_dim": 32, "qk_nope_head_dim": 32, "v_head_dim": 32,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "moe_num_experts": 4, "num_experts_per_tok": 2,
    "moe_topk": 2, "moe_k": 2, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
    "max_position_embeddings": 256, "n_positions": 256, "max_seq_len": 256,
    "image_size": 28, "patch_size": 14, "out_hidden_size": 128, "num_mel_bins": 16, "max_source_positions": 32,
    "projector_hidden_size": 128, "projection_dim": 128, "vision_output_dim": 128,
    "mamba_n_heads": 8, "mamba_d_head": 32, "mamba_d_state": 32, "mamba_n_groups": 1, "mamba_num_heads": 8, "mamba_head_dim": 32,
    "linear_key_head_dim": 32, "linear_value_head_dim": 32, "linear_num_key_heads": 4, "linear_num_value_heads": 4,
    "index_head_dim": 128, "index_n_heads": 4, "index_topk": 16, "global_head_dim": 32,
    "vocab_size_per_layer_input": 320, "hidden_size_per_layer_input": 128, "laurel_rank": 32, "num_nextn_predict_layers": 0,
}  # fmt: skip
"""Multiples of 128 wherever a weight's input is."""
TOKENS: Final[dict[str, int]] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
DERIVED: Final = (
    "layer_types",
    "mlp_layer_types",
    "layers_block_type",
    "per_layer_config",
    "model_type",
    "transformers_version",
    "architectures",
)
"""What a class works out from its sizes, or what it is."""
SPECIAL: Final = 300
"""The first of the ids of images, videos and the like, which must lie within the vocabulary."""


def shrunk(config: Any) -> dict[str, Any]:
    """Return the settings of ``config`` with small sizes, for its class to be made anew."""
    small = _small(config.to_dict())
    assert isinstance(small, dict)
    return small


def _small(level: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in level.items():
        if key in DERIVED:
            continue
        if isinstance(value, dict) and ("model_type" in value or key.endswith("_config")):
            made[key] = _small(value) | ({"model_type": value["model_type"]} if "model_type" in value else {})
        elif key in TOKENS:
            made[key] = TOKENS[key]
        elif type(value) is int and key in SIZES:
            made[key] = min(value, SIZES[key])
        elif type(value) is int and key.endswith(("token_id", "token_index")):
            made[key] = SPECIAL + len([name for name in made if name.endswith(("token_id", "token_index"))])
        else:
            made[key] = value
    return made
