"""Text models whose layers are of several sizes, with the numbers that published configurations give their layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mirrored import Mirrored
from mirrored_default import default
from mirrored_text import HEADS, ROUTED, Config, text

SLIDING, FULL = "sliding_attention", "full_attention"
GEMMA4: Final[Config] = {
    **HEADS, "num_hidden_layers": 6, "layer_types": [SLIDING, FULL, SLIDING, FULL, SLIDING, FULL], "sliding_window": 64,
    "hidden_activation": "gelu_pytorch_tanh", "attention_bias": False, "hidden_size_per_layer_input": 32,
    "vocab_size_per_layer_input": 288, "num_kv_shared_layers": 2, "use_double_wide_mlp": True, "attention_k_eq_v": True,
    "tie_word_embeddings": True,
}  # fmt: skip
WIDE: Final[Config] = {"head_dim": 64, "num_key_value_heads": 1}
MIMO: Final[Config] = {
    **HEADS, **ROUTED, "num_hidden_layers": 4, "v_head_dim": 64, "swa_head_dim": 64, "swa_v_head_dim": 32,
    "swa_num_attention_heads": 8, "swa_num_key_value_heads": 4, "swa_rope_theta": 10000.0, "hybrid_layer_pattern": [0, 1, 1, 0],
    "moe_layer_freq": [0, 1, 1, 1], "scoring_func": "sigmoid", "topk_method": "noaux_tc", "sliding_window": 64,
    "sliding_window_size": 64, "attention_bias": False, "add_full_attention_sink_bias": False, "add_swa_attention_sink_bias": True,
    "partial_rotary_factor": 0.5, "layernorm_epsilon": 1e-5, "attention_value_scale": 0.7, "n_shared_experts": None,
    "routed_scaling_factor": None, "attention_chunk_size": 64,
}  # fmt: skip
STEP: Final[Config] = {
    **HEADS, "num_hidden_layers": 4, "num_attention_groups": 2, "moe_layers_enum": "1,2,3", "moe_num_experts": 4, "moe_top_k": 2,
    "moe_intermediate_size": 128, "share_expert_dim": 96, "norm_expert_weight": True, "use_moe_router_bias": True,
    "moe_router_activation": "sigmoid", "moe_router_scaling_factor": 3.0, "use_head_wise_attn_gate": True,
    "layer_types": [FULL, SLIDING, SLIDING, FULL], "sliding_window": 64, "use_moe": True, "max_seq_len": 256,
    "need_fp32_gate": True, "attention_other_setting": {
        "attention_type": SLIDING, "num_attention_heads": 8, "num_attention_groups": 4, "head_dim": 64, "true_head_dim": 64,
    },
}  # fmt: skip
LAGUNA: Final[Config] = {
    **HEADS, "num_hidden_layers": 4, "num_attention_heads_per_layer": [4, 8, 4, 8], "layer_types": [FULL, SLIDING, SLIDING, FULL],
    "mlp_layer_types": ["dense", "sparse", "sparse", "sparse"], "sliding_window": 64, "gating": "per-head", "num_experts": 4,
    "num_experts_per_tok": 2, "moe_intermediate_size": 128, "shared_expert_intermediate_size": 96, "attention_bias": False,
    "swa_attention_sink_enabled": False,
}  # fmt: skip
LAGUNA_DENSE: Final[Mapping[str, Config]] = {
    "dense": {},
    "ungated": {"gating": False, "swa_attention_sink_enabled": True},
    "gated": {"gating": "per-element"},
}
"""Without experts, whose bias of correction vLLM 0.32.0 does not load."""

MIRRORED_LAYERS: Final[tuple[Mirrored, ...]] = (
    text("gemma4-kinds", "Gemma4ForCausalLM", "gemma4_text", GEMMA4, remote=False, global_head_dim=64, num_global_key_value_heads=1),
    text("gemma4-listed", "Gemma4ForCausalLM", "gemma4_text", GEMMA4, remote=False, attention_k_eq_v=False,
         per_layer_config={"1": WIDE, "3": WIDE, "5": WIDE}),
    text("mimo-v2-flash-kinds", "MiMoV2FlashForCausalLM", "mimo_v2_flash", MIMO, remote=False),
    text("mimo-v2-kinds", "MiMoV2ForCausalLM", "mimo_v2", MIMO),
    text("laguna-listed", "LagunaForCausalLM", "laguna", LAGUNA, remote=False,
         merges=((r"experts\.routed_experts\.", "experts.", "first"),)),
    *(text(f"laguna-{name}", "LagunaForCausalLM", "laguna", LAGUNA, remote=False, mlp_layer_types=["dense"] * 4, **more)
      for name, more in LAGUNA_DENSE.items()),
    text("step3.5-kinds", "Step3p5ForCausalLM", "step3p5", STEP, remote=False),
    default("Gemma3nForCausalLM", num_hidden_layers=4, intermediate_size=[256, 512, 256, 512], num_kv_shared_layers=1,
            activation_sparsity_pattern=[0.0] * 4, layer_types=[SLIDING, FULL, SLIDING, FULL], per_layer_config=None),
)  # fmt: skip
"""With lists that differ from each other, so that each shows by itself which layers it means."""
