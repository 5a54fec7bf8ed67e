"""Keys of the config left out, null, turned and of other values."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from field_kind import add, kind
from field_model import Model, Skip, pick

KEYS: Final = (
    "head_dim", "num_key_value_heads", "hidden_act", "hidden_activation", "rms_norm_eps", "layer_norm_eps", "intermediate_size",
    "vocab_size", "max_position_embeddings", "model_type", "layer_types", "sliding_window", "attention_bias", "mlp_bias",
    "rope_parameters", "tie_word_embeddings", "num_attention_heads", "hidden_size", "num_hidden_layers", "moe_intermediate_size",
    "num_experts_per_tok", "norm_topk_prob", "first_k_dense_replace", "kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "v_head_dim",
    "n_shared_experts", "shared_expert_intermediate_size", "n_group", "topk_group", "scoring_func", "topk_method", "mlp_only_layers",
    "decoder_sparse_step", "logits_scaling", "final_logit_softcapping", "attn_logit_softcapping", "query_pre_attn_scalar",
    "partial_rotary_factor", "use_qk_norm", "use_cache", "pad_token_id", "bos_token_id", "eos_token_id", "dtype", "architectures",
    "transformers_version", "linear_num_value_heads", "linear_conv_kernel_dim", "mamba_n_heads", "mamba_d_state", "attn_layer_indices",
    "full_attention_interval", "routed_scaling_factor", "use_sliding_window", "max_window_layers", "embedding_multiplier",
    "residual_multiplier", "attention_multiplier", "no_rope_layers", "hybrid_override_pattern", "layers_block_type", "block_types",
)  # fmt: skip


"""Those of which not all are in every config."""


NUMBERS: Final = (
    "num_key_value_heads", "num_attention_heads", "hidden_size", "intermediate_size", "head_dim", "moe_intermediate_size", "kv_lora_rank",
    "q_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "num_experts_per_tok", "shared_expert_intermediate_size",
    "n_shared_experts", "max_position_embeddings", "first_k_dense_replace", "linear_num_value_heads", "linear_num_key_heads",
    "linear_conv_kernel_dim", "mamba_n_heads", "mamba_d_state", "mamba_d_conv", "n_group", "topk_group", "sliding_window",
)  # fmt: skip


DTYPES: Final = (
    "float16",
    "float32",
    "auto",
    "int8",
    "float8_e4m3fn",
    "torch.bfloat16",
    None,
    "fp16",
    "half",
    "bf16",
    "bfloat16",
)


SWITCHES: Final = (
    "attention_bias", "mlp_bias", "use_qk_norm", "norm_topk_prob", "use_sliding_window", "use_bias", "qkv_bias", "attention_out_bias",
    "tie_word_embeddings", "use_parallel_residual", "lm_head_bias", "add_router_probs", "moe_gate_bias", "qk_layernorm", "use_cache",
)  # fmt: skip


for _key in KEYS:

    def _left_out(m: Model, d: Random, k: str = _key) -> None:
        holder, key = m.key(k)
        del holder[key]

    def _null(m: Model, d: Random, k: str = _key) -> None:
        holder, key = m.key(k)
        if holder[key] is None:
            raise Skip
        holder[key] = None

    add(f"config without {_key}", _left_out)
    add(f"config's {_key} null", _null)


for _key in NUMBERS:

    def _otherwise(m: Model, d: Random, k: str = _key) -> None:
        holder, key = m.key(k)
        if not isinstance(holder[key], int):
            raise Skip
        holder[key] = pick(
            d,
            (
                holder[key] * 2,
                max(holder[key] // 2, 1),
                holder[key] + 1,
                float(holder[key]),
                str(holder[key]),
                holder[key] + 32,
            ),
        )

    add(f"config's {_key} otherwise", _otherwise)


for _dtype in DTYPES:

    def _as(m: Model, d: Random, v: Any = _dtype) -> None:
        for holder in (m.config, m.text):
            holder.pop("dtype", None)
            holder.pop("torch_dtype", None)
        pick(d, (m.config, m.text))[pick(d, ("dtype", "torch_dtype"))] = v

    add(f"config's dtype {_dtype}", _as)


for _key in SWITCHES:

    def _turn(m: Model, d: Random, k: str = _key) -> None:
        m.text[k] = not m.text.get(k, False)

    add(f"config's {_key} turned", _turn)


@kind
def dtype_called_torch_dtype(m: Model, d: Random) -> None:
    found = False
    for holder in (m.config, m.text):
        if "dtype" in holder:
            found, holder["torch_dtype"] = True, holder.pop("dtype")
    if not found:
        raise Skip


@kind
def unknown_keys(m: Model, d: Random) -> None:
    m.config.update(
        {"_name_or_path": "/data/run", "unsloth_fixed": True, "my_key": {"a": [1, None]}, "pruned_heads": {}}
    )


@kind
def old_generation_keys(m: Model, d: Random) -> None:
    m.config.update({"temperature": 0.7, "do_sample": True, "max_length": 20, "return_dict": True, "is_decoder": False})


@kind
def attention_implementation_kept(m: Model, d: Random) -> None:
    m.config.update({"_attn_implementation": "flash_attention_2", "attn_implementation": "eager", "pretraining_tp": 2})


@kind
def activation_otherwise(m: Model, d: Random) -> None:
    holder, key = m.key("hidden_act", "hidden_activation", "activation_function", "mlp_hidden_act")
    holder[key] = pick(d, ("gelu", "silu", "swiglu", "gelu_pytorch_tanh", "relu", "relu2", "SiLU", "gelu_new", "swish"))
