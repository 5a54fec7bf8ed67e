"""Mixtures of experts for the sweep over architectures."""

from __future__ import annotations

from typing import Any, Final

from family import GQA, Config, Family

MLA: Final[Config] = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 128,
    "q_lora_rank": 128,
    "qk_rope_head_dim": 32,
    "qk_nope_head_dim": 32,
    "v_head_dim": 32,
}
TOP2: Final[Config] = {"num_experts_per_tok": 2}
ROUTED: Final[Config] = {**TOP2, "moe_intermediate_size": 128, "n_routed_experts": 4, "first_k_dense_replace": 1}
GROUPED: Final[Config] = {"n_group": 1, "topk_group": 1}


def moe(name: str, architecture: str, *parts: Config, **over: Any) -> Family:
    """Make a row for a mixture of experts from parts of its config; fields of `Family` may be mixed in."""
    fields = {key: over.pop(key) for key in ("head", "tied", "notes") if key in over}
    if fields.get("tied"):
        fields.setdefault("head", None)
    config = dict(GQA)
    for part in (*parts, over):
        config |= part
    return Family(name=name, architecture=architecture, config=config, moe=True, **fields)


MOE_FAMILIES: Final[tuple[Family, ...]] = (
    moe("qwen2-moe", "Qwen2MoeForCausalLM", TOP2, num_experts=4, moe_intermediate_size=128,
        shared_expert_intermediate_size=256, notes="a shared expert with a gate of one row"),
    moe("olmoe", "OlmoeForCausalLM", TOP2, num_experts=4),
    moe("flex-olmo", "FlexOlmoForCausalLM", TOP2, num_experts=4),
    moe("granite-moe", "GraniteMoeForCausalLM", TOP2, num_local_experts=4, notes="experts are fused 3D tensors"),
    moe("granite-moe-shared", "GraniteMoeSharedForCausalLM", TOP2, num_local_experts=4, shared_intermediate_size=128),
    moe("glm4-moe", "Glm4MoeForCausalLM", ROUTED, GROUPED, head_dim=32),
    moe("glm4-moe-lite", "Glm4MoeLiteForCausalLM", ROUTED, GROUPED, MLA,
        mlp_layer_types=["dense", "sparse"]),
    moe("phimoe", "PhimoeForCausalLM", TOP2, num_local_experts=4, notes="vLLM gives its head no quant_config"),
    moe("ernie4.5-moe", "Ernie4_5_MoeForCausalLM", moe_num_experts=4, moe_k=2, moe_intermediate_size=128,
        moe_num_shared_experts=1, tied=True),
    moe("hunyuan-moe", "HunYuanMoEV1ForCausalLM", num_experts=4, moe_topk=2, head_dim=32),
    moe("dots1", "Dots1ForCausalLM", ROUTED, GROUPED, n_shared_experts=1),
    moe("gpt-oss", "GptOssForCausalLM", TOP2, num_local_experts=4, head_dim=32, sliding_window=64,
        notes="experts are fused 3D tensors; vLLM gives its head no quant_config"),
    moe("llama4-text", "Llama4ForCausalLM", num_experts_per_tok=1, num_local_experts=4, head_dim=32,
        intermediate_size_mlp=256, notes="experts are fused 3D tensors"),
    moe("deepseek-v2", "DeepseekV2ForCausalLM", ROUTED, GROUPED, MLA, n_shared_experts=1),
    moe("minimax", "MiniMaxForCausalLM", TOP2, num_local_experts=4, head_dim=32, notes="vLLM 0.32.0 has no class for it"),
    moe("minimax-m2", "MiniMaxM2ForCausalLM", TOP2, num_local_experts=4, head_dim=32, rotary_dim=16, scoring_func="sigmoid",
        use_routing_bias=True),
    moe("afmoe", "AfmoeForCausalLM", TOP2, num_experts=4, head_dim=32, moe_intermediate_size=128, num_dense_layers=1,
        score_func="sigmoid", route_norm=True, route_scale=1.0, n_group=1, topk_group=1, notes="vLLM passes no name to its head"),
    moe("exaone-moe", "ExaoneMoeForCausalLM", ROUTED, num_experts=4, notes="vLLM passes no name to its head"),
    moe("solar-open", "SolarOpenForCausalLM", ROUTED, head_dim=32),
    moe("mimo-v2-flash", "MiMoV2FlashForCausalLM", ROUTED, GROUPED, head_dim=32, v_head_dim=32, swa_head_dim=32,
        swa_v_head_dim=32, swa_num_attention_heads=4, swa_num_key_value_heads=4, hybrid_layer_pattern=[0, 1],
        moe_layer_freq=[0, 1], layernorm_epsilon=1e-6, sliding_window_size=64),
    moe("cohere2-moe", "Cohere2MoeForCausalLM", TOP2, num_experts=4, head_dim=32, tied=True),
    moe("laguna", "LagunaForCausalLM", TOP2, num_experts=4, head_dim=32, moe_intermediate_size=128),
    moe("dbrx", "DbrxForCausalLM", attn_config={"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 1e4},
        ffn_config={"ffn_hidden_size": 128, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 128},
        notes="its loader looks for experts under their older names"),
    moe("mellum", "MellumForCausalLM", TOP2, num_experts=4, head_dim=32, moe_intermediate_size=128),
    moe("hy-v3", "HYV3ForCausalLM", TOP2, num_experts=4, head_dim=32, moe_intermediate_size=128, first_k_dense_replace=1,
        expert_hidden_dim=128, route_norm=True, qk_norm=True),
    moe("qwen3-moe-tied", "Qwen3MoeForCausalLM", TOP2, num_experts=4, head_dim=32, moe_intermediate_size=128, tied=True),
)  # fmt: skip
