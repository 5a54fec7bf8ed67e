"""State-space models, and hybrids of them with attention, for the sweep over architectures."""

from __future__ import annotations

from typing import Any, Final

from family import GQA, TOKENS, Config, Family

MAMBA2: Final[Config] = {
    "mamba_n_heads": 8, "mamba_n_groups": 1, "mamba_d_state": 32, "mamba_d_head": 32, "mamba_d_conv": 4, "mamba_expand": 2,
}  # fmt: skip
DELTA: Final[Config] = {
    "linear_key_head_dim": 32, "linear_value_head_dim": 32, "linear_num_key_heads": 4, "linear_num_value_heads": 4,
    "layer_types": ["linear_attention", "full_attention"],
}  # fmt: skip
LFM2: Final[Config] = {
    "layer_types": ["conv", "full_attention"], "conv_dim": 128, "conv_dim_out": 128, "block_dim": 128,
    "block_multiple_of": 128, "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": True,
}  # fmt: skip
EXPERTS: Final[Config] = {
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128, "shared_expert_intermediate_size": 128,
}  # fmt: skip

NEMOTRON: Final[Config] = {
    "head_dim": 32, "ssm_state_size": 32, "mamba_num_heads": 8, "mamba_head_dim": 32, "n_groups": 1, "use_mamba_kernels": False,
    "mlp_hidden_act": "relu2",
}  # fmt: skip
NEMOTRON_EXPERTS: Final[Config] = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128, "moe_shared_expert_intermediate_size": 384,
    "n_shared_experts": 1, "n_group": 1, "topk_group": 1,
}  # fmt: skip


def hybrid(name: str, architecture: str, *parts: Config, **over: Any) -> Family:
    """Make a row for a hybrid from parts of its config; fields of `Family` may be mixed in."""
    fields = {key: over.pop(key) for key in ("head", "tied", "moe", "notes") if key in over}
    if fields.get("tied"):
        fields.setdefault("head", None)
    config = dict(GQA)
    for part in (*parts, over):
        config |= part
    return Family(name=name, architecture=architecture, config=config, **fields)


HYBRID_FAMILIES: Final[tuple[Family, ...]] = (
    Family(name="mamba", architecture="MambaForCausalLM", tied=True, head=None,
           config={**TOKENS, "hidden_size": 128, "num_hidden_layers": 2, "state_size": 16},
           notes="vLLM gives its head no quant_config"),
    Family(name="mamba2", architecture="Mamba2ForCausalLM",
           config={**TOKENS, "hidden_size": 128, "num_hidden_layers": 2, "state_size": 32, "num_heads": 8, "head_dim": 32,
                   "n_groups": 1},
           notes="vLLM gives its head no quant_config"),
    Family(name="falcon-mamba", architecture="FalconMambaForCausalLM", tied=True, head=None,
           config={**TOKENS, "hidden_size": 128, "num_hidden_layers": 2, "state_size": 16},
           notes="vLLM gives its head no quant_config"),
    hybrid("falcon-h1", "FalconH1ForCausalLM", MAMBA2, mamba_d_ssm=256, notes="vLLM gives its head no quant_config"),
    hybrid("bamba", "BambaForCausalLM", MAMBA2, attn_layer_indices=[1], notes="vLLM 0.32.0 has no class for it"),
    hybrid("granite-hybrid", "GraniteMoeHybridForCausalLM", MAMBA2, num_local_experts=4, num_experts_per_tok=2,
           shared_intermediate_size=128, layer_types=["mamba", "attention"], moe=True),
    hybrid("jamba", "JambaForCausalLM", num_experts=4, num_experts_per_tok=2, attn_layer_period=2, attn_layer_offset=1,
           expert_layer_period=2, expert_layer_offset=1, use_mamba_kernels=False, moe=True,
           notes="vLLM gives its head no quant_config"),
    hybrid("zamba2", "Zamba2ForCausalLM", n_mamba_heads=8, mamba_d_state=32, layers_block_type=["mamba", "hybrid"],
           num_key_value_heads=4, use_mamba_kernels=False, tied=True, notes="vLLM gives its head no quant_config"),
    hybrid("lfm2", "Lfm2ForCausalLM", LFM2, tied=True),
    hybrid("lfm2-moe", "Lfm2MoeForCausalLM", layer_types=["conv", "full_attention"], num_experts=4, num_experts_per_tok=2,
           moe_intermediate_size=128, num_dense_layers=1, tied=True, moe=True),
    hybrid("olmo-hybrid", "OlmoHybridForCausalLM", DELTA, notes="vLLM builds it with Triton only"),
    hybrid("qwen3-next", "Qwen3NextForCausalLM", DELTA, EXPERTS, head_dim=32, moe=True,
           notes="vLLM gives its head no quant_config"),
    hybrid("qwen3.5", "Qwen3_5ForCausalLM", DELTA, head_dim=32),
    hybrid("qwen3.5-moe", "Qwen3_5MoeForCausalLM", DELTA, EXPERTS, head_dim=32, moe=True),
    hybrid("nemotron-h", "NemotronHForCausalLM", NEMOTRON, layers_block_type=["mamba", "attention", "mlp"]),
    hybrid("kimi-linear", "KimiLinearForCausalLM", num_local_experts=4, num_experts_per_tok=2, moe_intermediate_size=128,
           num_key_value_heads=4, kv_lora_rank=128, qk_rope_head_dim=32, qk_nope_head_dim=32, v_head_dim=32,
           linear_head_dim=32, linear_num_heads=4, mlp_layer_types=["dense", "sparse"],
           layer_types=["linear_attention", "full_attention"], moe=True,
           notes="vLLM 0.32.0 refuses its config on CPUs"),
)  # fmt: skip
MORE_HYBRID_FAMILIES: Final[tuple[Family, ...]] = (
    hybrid("nemotron-h-moe", "NemotronHForCausalLM", NEMOTRON, NEMOTRON_EXPERTS, moe=True,
           layers_block_type=["mamba", "moe", "attention", "moe"]),
    hybrid("nemotron-h-latent", "NemotronHForCausalLM", NEMOTRON, NEMOTRON_EXPERTS, moe_latent_size=256, moe=True,
           layers_block_type=["mamba", "moe", "attention", "moe"]),
)  # fmt: skip
"""For the whole sweep alone."""
