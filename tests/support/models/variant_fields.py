"""What real configs of one family differ in: fields of the config, and the values that a variant may give them. Tiny throughout."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SWITCH: Final = (False, True)
FEW: Final = (0, 1, 2)
EXPERTS: Final = (2, 3, 6)
WIDTHS: Final = (128, 192, 256, 320)
ODD_WIDTHS: Final = (64, 96, 136, 160, 200, 256, 336)
"""Not all of them multiples of a group, nor of 64 or 16."""

TEXT: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        # sizes
        "hidden_size": (128, 192, 256), "n_embd": (128, 192, 256), "d_model": (128, 192, 256),
        "intermediate_size": ODD_WIDTHS, "ffn_dim": ODD_WIDTHS, "n_inner": (None, *ODD_WIDTHS), "ffn_hidden_size": ODD_WIDTHS,
        "intermediate_size_mlp": ODD_WIDTHS, "shared_intermediate_size": ODD_WIDTHS, "moe_intermediate_size": ODD_WIDTHS,
        "shared_expert_intermediate_size": (0, *ODD_WIDTHS), "moe_shared_expert_intermediate_size": ODD_WIDTHS,
        "word_embed_proj_dim": (64, 96, 128),
        "num_hidden_layers": (1, 2, 3), "n_layer": (1, 2, 3), "num_layers": (1, 2, 3),
        # attention
        "num_attention_heads": (2, 4, 8), "n_head": (2, 4, 8), "num_key_value_heads": (1, 2, 4), "head_dim": (16, 32, 64, 128),
        "multi_query": SWITCH, "new_decoder_architecture": SWITCH, "num_kv_heads": (1, 2),
        "attention_bias": SWITCH, "mlp_bias": SWITCH, "qkv_bias": SWITCH, "use_qkv_bias": SWITCH, "use_bias": SWITCH,
        "bias": SWITCH, "add_bias_linear": SWITCH, "attention_out_bias": SWITCH, "lm_head_bias": SWITCH, "add_qkv_bias": SWITCH,
        "enable_bias": SWITCH, "attn_bias": SWITCH, "hidden_bias": SWITCH, "mamba_proj_bias": SWITCH, "use_mamba_bias": SWITCH,
        "use_qk_norm": SWITCH, "qk_layernorm": SWITCH, "qk_norm": SWITCH, "add_swa_attention_sink_bias": SWITCH,
        "sliding_window": (None, 32, 64), "use_sliding_window": SWITCH, "max_window_layers": FEW,
        "sliding_window_pattern": (2, 3, 6), "attention_chunk_size": (32, 64), "no_rope_layer_interval": (2, 4),
        "num_kv_shared_layers": (0, 1), "attention_k_eq_v": SWITCH, "num_global_key_value_heads": (None, 1, 2), "global_head_dim": (32, 64),
        "partial_rotary_factor": (0.25, 0.5, 1.0), "rotary_pct": (0.25, 0.5, 1.0), "alibi": SWITCH,
        "q_lora_rank": (None, 64, 96, 128), "kv_lora_rank": (64, 128, 160), "qk_rope_head_dim": (16, 32), "qk_nope_head_dim": (32, 64),
        "v_head_dim": (32, 64),
        # shape of a layer
        "parallel_attn": SWITCH, "use_parallel_residual": SWITCH, "do_layer_norm_before": SWITCH,
        "layer_norm_elementwise_affine": SWITCH,
        # experts
        "num_experts": EXPERTS, "num_local_experts": EXPERTS, "n_routed_experts": EXPERTS, "moe_num_experts": EXPERTS,
        "num_experts_per_tok": (1, 2), "moe_k": (1, 2), "moe_topk": (1, 2), "experts_per_token": (1, 2), "norm_topk_prob": SWITCH,
        "n_shared_experts": FEW, "num_shared_experts": FEW, "moe_num_shared_experts": FEW, "num_shared_expert": FEW,
        "first_k_dense_replace": FEW, "moe_layer_start_index": FEW, "moe_layer_interval": (1, 2), "decoder_sparse_step": (1, 2),
        "mlp_only_layers": ([], [0], [1]), "moe_layer_freq": (1, 2), "interleave_moe_layer_step": (1, 2), "num_dense_layers": FEW,
        "expert_layer_period": (1, 2), "expert_layer_offset": (0, 1), "attn_layer_period": (1, 2), "attn_layer_offset": (0, 1),
        "n_group": (1, 2), "topk_group": (1,), "scoring_func": ("sigmoid", "softmax"), "routed_scaling_factor": (1.0, 2.5),
        # draft layers
        "num_nextn_predict_layers": (0, 1), "num_mtp_layers": (0, 1), "mtp_num_hidden_layers": (0, 1),
    }
)  # fmt: skip
TOWER: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "hidden_size": (64, 128, 192), "intermediate_size": ODD_WIDTHS, "num_hidden_layers": (1, 2), "depth": (1, 2),
        "num_attention_heads": (2, 4), "num_heads": (2, 4), "encoder_layers": (1, 2), "d_model": (64, 128),
        "attention_bias": SWITCH, "use_bias": SWITCH, "qkv_bias": SWITCH, "vision_use_head": (False,), "use_qk_norm": SWITCH,
        "deepstack_visual_indexes": ([], [0]), "fullatt_block_indexes": ([], [0]), "use_head": (False,),
    }
)  # fmt: skip
"""Of towers: configs beside the text model's."""
TOP: Final[Mapping[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "vision_feature_layer": (-1, -2), "multimodal_projector_bias": SWITCH, "vision_feature_select_strategy": ("default", "full"),
        "projector_hidden_act": ("gelu", "relu"), "spatial_merge_size": (1, 2), "downsample_factor": (1, 2),
    }
)  # fmt: skip
"""Of wrappers: what stands beside both."""
LAYERS: Final = ("num_hidden_layers", "n_layer", "num_layers")
"""Names of the number of layers, which lists of layers go with."""

VOCABULARIES: Final = (320, 333, 257, 384, 1000)
DTYPES: Final = ("bfloat16", "bfloat16", "bfloat16", "float16", "float32")
SHARDS: Final = (1, 1, 2, 3)
TASKS: Final = ("ForSequenceClassification", "ForTokenClassification", "Model", "ForQuestionAnswering")
"""What else transformers makes of a text model: no head."""
PACKINGS: Final = ((), (), ("--group-size", "32"), ("--group-size", "64"), ("--strategy", "channel"))
"""How weight-only layers may be packed, beside zero points, whose kernels few machines have."""
