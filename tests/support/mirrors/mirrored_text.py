"""Text models whose configuration lies in the checkpoint's repository, and that vLLM serves with classes of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from family import TOKENS
from mirrored import Mirrored

Config = Mapping[str, Any]
BASE: Final[Config] = {
    "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 256, "vocab_size": 320, "rms_norm_eps": 1e-6, "hidden_act": "silu", "rope_theta": 10000.0,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16", **TOKENS,
}  # fmt: skip
HEADS: Final[Config] = {**BASE, "head_dim": 32}
MOE: Final[Config] = {
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128, "num_shared_experts": 1, "norm_topk_prob": True,
    "first_k_dense_replace": 1,
}  # fmt: skip
ROUTED: Final[Config] = {
    "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
    "first_k_dense_replace": 1, "moe_layer_freq": 1, "norm_topk_prob": True, "routed_scaling_factor": 2.5, "n_group": 1,
    "topk_group": 1,
}  # fmt: skip
MLA: Final[Config] = {
    "kv_lora_rank": 128, "q_lora_rank": 128, "qk_rope_head_dim": 32, "qk_nope_head_dim": 32, "v_head_dim": 32,
    "num_key_value_heads": 4,
}  # fmt: skip
LING: Final[Config] = {
    **HEADS, **MOE, "use_bias": False, "use_qkv_bias": False, "n_group": 1, "topk_group": 1, "moe_router_enable_expert_bias": True,
    "routed_scaling_factor": 2.5, "score_function": "sigmoid", "use_qk_norm": True, "moe_shared_expert_intermediate_size": 128,
    "embedding_dropout": 0.0,
}  # fmt: skip
CHATGLM: Final[Config] = {
    "hidden_size": 128, "ffn_hidden_size": 256, "num_layers": 2, "num_attention_heads": 4, "kv_channels": 32,
    "multi_query_attention": True, "multi_query_group_num": 2, "padded_vocab_size": 320, "vocab_size": 320, "seq_length": 256,
    "add_bias_linear": False, "add_qkv_bias": True, "layernorm_epsilon": 1e-5, "rmsnorm": True, "post_layer_norm": True,
    "apply_residual_connection_post_layernorm": False, "fp32_residual_connection": False, "original_rope": True,
    "hidden_dropout": 0.0, "attention_dropout": 0.0, "tie_word_embeddings": False, "torch_dtype": "bfloat16", **TOKENS,
}  # fmt: skip
WORDS: Final = ((r"^transformer\.embedding\.weight$", "transformer.embedding.word_embeddings.weight", "first"),)
HYBRID: Final[Config] = {
    **HEADS, "hybrid_override_pattern": "M*-", "num_hidden_layers": 3, "ssm_state_size": 32, "mamba_num_heads": 8,
    "mamba_head_dim": 32, "n_groups": 1, "mlp_hidden_act": "relu2", "conv_kernel": 4, "expand": 2, "chunk_size": 64,
    "use_conv_bias": True, "mamba_proj_bias": False, "mamba_hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
    "layer_norm_epsilon": 1e-5, "residual_in_fp32": False, "use_bias": False,
}  # fmt: skip


def text(name: str, architecture: str, model_type: str, base: Config = BASE, /, **over: Any) -> Mirrored:
    """Make a row; fields of `Mirrored` and of the config may be mixed."""
    fields = {key: over.pop(key) for key in ("remote", "merges", "tokens") if key in over}
    return Mirrored(name=name, architecture=architecture, model_type=model_type, config={**base, **over}, **fields)


MIRRORED_TEXT: Final = (
    text("internlm2", "InternLM2ForCausalLM", "internlm2", bias=False),
    text("internlm3", "InternLM3ForCausalLM", "internlm3", HEADS, bias=False, qkv_bias=False),
    text("chatglm", "ChatGLMModel", "chatglm", CHATGLM, merges=WORDS),
    text("glm4-9b", "ChatGLMForConditionalGeneration", "chatglm", CHATGLM, rope_ratio=500, merges=WORDS),
    text(
        "exaone", "ExaoneForCausalLM", "exaone", HEADS, num_layers=2, layer_norm_epsilon=1e-5, activation_function="silu"
    ),
    text("orion", "OrionForCausalLM", "orion"),
    text("ling", "BailingMoeForCausalLM", "bailing_moe", HEADS, **{**MOE, "first_k_dense_replace": 0}, use_bias=False,
         use_qkv_bias=False, embedding_dropout=0.0),
    text("ling-2", "BailingMoeV2ForCausalLM", "bailing_moe_v2", LING, partial_rotary_factor=0.5, rotary_dim=16),
    text("ling-2.5", "BailingMoeV2_5ForCausalLM", "bailing_moe_linear", {**LING, **MLA}, partial_rotary_factor=0.5, rotary_dim=16,
         layer_group_size=2, group_norm_size=4, linear_silu=False),
    text("deepseek-moe", "DeepseekForCausalLM", "deepseek", {**BASE, **ROUTED}, n_shared_experts=2, scoring_func="softmax",
         attention_bias=False),
    text("kimi-k2", "DeepseekV3ForCausalLM", "kimi_k2", {**BASE, **ROUTED, **MLA}, topk_method="noaux_tc", scoring_func="sigmoid",
         attention_bias=False),
    text("minicpm", "MiniCPMForCausalLM", "minicpm", scale_emb=12, scale_depth=1.4, dim_model_base=64, num_experts=0),
    text("mimo", "MiMoForCausalLM", "mimo", HEADS, attention_bias=True, use_sliding_window=False, sliding_window=256,
         max_window_layers=2, num_nextn_predict_layers=0),
    text("mimo-v2", "MiMoV2ForCausalLM", "mimo_v2", {**HEADS, **ROUTED}, v_head_dim=32, swa_head_dim=32, swa_v_head_dim=32,
         swa_num_attention_heads=4, swa_num_key_value_heads=2, swa_rope_theta=10000.0, hybrid_layer_pattern=[0, 1],
         moe_layer_freq=[0, 1], scoring_func="sigmoid", topk_method="noaux_tc", sliding_window=64, sliding_window_size=64,
         attention_bias=False, add_full_attention_sink_bias=False, add_swa_attention_sink_bias=True, partial_rotary_factor=0.5,
         layernorm_epsilon=1e-5, attention_value_scale=0.7, n_shared_experts=None, routed_scaling_factor=None,
         attention_chunk_size=64),
    text("pangu-embedded", "PanguEmbeddedForCausalLM", "PanguEmbedded", HEADS, bias=True),
    text("pangu-pro-moe", "PanguProMoEV2ForCausalLM", "PanguProMoE", {**HEADS, **ROUTED}, shared_expert_intermediate_size=128),
    text("pangu-ultra-moe", "PanguUltraMoEForCausalLM", "pangu_ultra_moe", {**BASE, **ROUTED, **MLA}, sandwich_norm=True),
    text("param2-moe", "Param2MoEForCausalLM", "param2moe", LING),
    text("plamo3", "Plamo3ForCausalLM", "plamo3", HEADS, window_size=64, sliding_window=64, sliding_window_pattern=2,
         interleaved_sliding_window=[64, None], layer_types=["sliding_attention", "full_attention"], attention_bias=False,
         rope_local_theta=10000.0),
    text("sarvam-moe", "SarvamMoEForCausalLM", "sarvam_moe", LING),
    text("sarvam-mla", "SarvamMLAForCausalLM", "sarvam_mla", {**LING, **MLA}),
    text("step3.5", "Step3p5ForCausalLM", "step3p5", HEADS, num_attention_groups=2, moe_layers_enum="1", moe_num_experts=4, moe_top_k=2,
         moe_intermediate_size=128, share_expert_dim=128, norm_expert_weight=True, use_moe_router_bias=True,
         moe_router_activation="sigmoid", moe_router_scaling_factor=3.0, use_head_wise_attn_gate=True,
         layer_types=["full_attention", "full_attention"], sliding_window=64, use_moe=True, max_seq_len=256,
         need_fp32_gate=True, remote=False),
    text("step3-text", "Step3TextForCausalLM", "step3_text", HEADS, num_attention_groups=1, share_q_dim=128, moe_layers_enum="1",
         moe_num_experts=4, moe_top_k=2, moe_intermediate_size=128, share_expert_dim=128, norm_expert_weight=True, max_seq_len=256,
         remote=False, merges=((r"(\.moe)\.experts\.\d+\.", r"\1.", "stack"),)),
    text("solar", "SolarForCausalLM", "solar", bskcn_1=[0], bskcn_2=[1], bskcn_3=[0], bskcn_4=[1], bskcn_tv=[0.9, 0.8],
         sliding_window=256, attention_bias=False, mlp_bias=False),
    text("telechat2", "TeleChat2ForCausalLM", "telechat", ffn_hidden_size=256, n_layer=2, n_head=4, layer_norm_epsilon=1e-5,
         seq_length=256, embed_layernorm=False, hidden_dropout=0.0, attention_dropout=0.0,
         apply_residual_connection_post_layernorm=False,
         merges=((r"self_attention\.(key|value)\.weight", "self_attention.key_value.weight", "cat"),)),
    text("telechat3", "TeleChat3ForCausalLM", "telechat3", HEADS),
    text("teleflm", "TeleFLMForCausalLM", "TeleFLM", use_mup=True, mup_scale_factor=4.0, output_mult=1.0, input_mult=1.0),
    text("iquest-coder", "IQuestCoderForCausalLM", "iquestcoder", HEADS, attention_bias=False, mlp_bias=False),
    text("k2-horizon", "K2HorizonForCausalLM", "k2_horizon", {**HEADS, **MOE}, decoder_sparse_step=1, mlp_only_layers=[0],
         attention_bias=False, attention_gate_func=None, layernorm_num_groups=1, moe_gate_bias=False, mova_num_experts=0,
         mova_num_experts_per_tok=0, query_key_norm=True, rope_head_dim=32, router_scaling_factor=1.0,
         router_score_func="sigmoid"),
    text("longcat", "LongcatFlashForCausalLM", "longcat_flash", {**BASE, **MLA}, num_layers=2, ffn_hidden_size=256,
         expert_ffn_hidden_size=128, n_routed_experts=4, zero_expert_num=2, zero_expert_type="identity", moe_topk=2,
         routed_scaling_factor=6.0, norm_topk_prob=False, mla_scale_q_lora=True, mla_scale_kv_lora=True, attention_method="MLA",
         router_bias=False, attention_bias=False),
    text("exaone-moe", "ExaoneMoEForCausalLM", "exaone_moe", {**HEADS, **MOE}, n_group=1, topk_group=1, routed_scaling_factor=2.5,
         scoring_func="sigmoid", sliding_window=64, layer_types=["sliding_attention", "full_attention"],
         is_moe_layer=[False, True], remote=False),
    text("nemotron-h-puzzle", "NemotronHPuzzleForCausalLM", "nemotron_h_puzzle", HYBRID),
    text("llama-1", "LLaMAForCausalLM", "llama", remote=False),
)  # fmt: skip
