"""The families that the main job is judged on."""

from __future__ import annotations

from typing import Final

from family import BASE, GQA, TOKENS, VISION, Config, Family

MOE: Final[Config] = {"num_experts_per_tok": 2, "moe_intermediate_size": 128}
MLA: Final[Config] = {
    "kv_lora_rank": 128, "q_lora_rank": 128, "qk_rope_head_dim": 32, "qk_nope_head_dim": 32, "v_head_dim": 32,
}  # fmt: skip
MROPE: Final[Config] = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 6, 6]}
VISION_MODEL: Final = ((r"vision_tower\.", "vision_tower.vision_model."),)
QWEN_VISION: Final[Config] = {
    "depth": 1, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4, "out_hidden_size": 128,
    "fullatt_block_indexes": [0],
}  # fmt: skip

MAIN_FAMILIES: Final[tuple[Family, ...]] = (
    Family(name="llama", architecture="LlamaForCausalLM", config=GQA),
    Family(name="llama-tied", architecture="LlamaForCausalLM", config=GQA, head=None, tied=True),
    Family(name="llama-odd-vocab", architecture="LlamaForCausalLM", config=GQA, vocab=333, notes="padded to 64 by vLLM"),
    Family(name="llama-even", architecture="LlamaForCausalLM", config=GQA, vocab=384, notes="every kernel takes its sizes"),
    Family(name="llama-head64", architecture="LlamaForCausalLM", config={**GQA, "head_dim": 64}, notes="blocks of 128 divide"),
    Family(name="qwen2", architecture="Qwen2ForCausalLM", config=GQA, notes="q, k and v have biases"),
    Family(name="qwen3-tied", architecture="Qwen3ForCausalLM", config={**GQA, "head_dim": 32}, head=None, tied=True),
    Family(name="qwen3-moe", architecture="Qwen3MoeForCausalLM", moe=True, config={**GQA, **MOE, "head_dim": 32, "num_experts": 4}),
    Family(name="mixtral", architecture="MixtralForCausalLM", moe=True, config={**GQA, "num_local_experts": 4}),
    Family(
        name="deepseek-v3", architecture="DeepseekV3ForCausalLM", moe=True,
        config={**BASE, **MOE, **MLA, "num_key_value_heads": 4, "n_routed_experts": 4, "n_group": 2, "topk_group": 1,
                "first_k_dense_replace": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid"},
        notes="MLA; first layer dense; the bias of the router is float32",
    ),
    Family(name="phi3", architecture="Phi3ForCausalLM", config=GQA, notes="qkv_proj and gate_up_proj are fused"),
    Family(name="gemma3", architecture="Gemma3ForCausalLM", config={**GQA, "head_dim": 32}, head=None, tied=True),
    Family(
        name="gemma3-mm", architecture="Gemma3ForConditionalGeneration", head=None, tied=True, multimodal=True,
        text="text_config",
        config={"text_config": {**GQA, "head_dim": 32}, "vision_config": {**VISION, "vision_use_head": False},
                "mm_tokens_per_image": 4, "image_token_index": 300, "boi_token_index": 301, "eoi_token_index": 302},
        renames=VISION_MODEL,
    ),
    Family(name="gpt-neox", architecture="GPTNeoXForCausalLM", config=BASE, head="embed_out", notes="fused query_key_value"),
    Family(
        name="opt", architecture="OPTForCausalLM", head=None, tied=True, notes="vLLM gives its head no quant_config",
        config={"hidden_size": 128, "ffn_dim": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
                "max_position_embeddings": 256, "word_embed_proj_dim": 128, **TOKENS},
    ),
    Family(
        name="falcon", architecture="FalconForCausalLM", tied=True, head=None,
        config={"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "multi_query": True, **TOKENS},
        notes="fused query_key_value with one key-value head",
    ),
    Family(
        name="qwen2.5-vl", architecture="Qwen2_5_VLForConditionalGeneration", multimodal=True, text="text_config",
        config={"text_config": {**GQA, "rope_parameters": MROPE}, "vision_config": QWEN_VISION,
                "image_token_id": 300, "video_token_id": 301, "vision_start_token_id": 302, "vision_end_token_id": 303},
    ),
    Family(
        name="gpt2", architecture="GPT2LMHeadModel", tied=True, head=None,
        config={"n_embd": 128, "n_layer": 2, "n_head": 4, "n_positions": 256, **TOKENS},
        notes="linear layers are Conv1D, stored transposed",
    ),
)  # fmt: skip
