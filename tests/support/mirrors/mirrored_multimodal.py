"""Multimodal models whose configuration lies in the checkpoint's repository, and that vLLM serves with classes of its own."""

from __future__ import annotations

from typing import Any, Final

from mirrored import Mirrored
from mirrored_text import BASE, CHATGLM, HEADS, MLA, ROUTED, WORDS, Config, text

TOWER: Final[Config] = {
    "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 28,
    "patch_size": 14, "num_channels": 3, "layer_norm_eps": 1e-6, "attention_dropout": 0.0,
}  # fmt: skip
SIGLIP: Final[Config] = {**TOWER, "model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh"}
INTERN_VIT: Final[Config] = {
    **TOWER, "model_type": "intern_vit_6b", "qk_normalization": False, "qkv_bias": True, "norm_type": "layer_norm",
    "initializer_factor": 1.0, "initializer_range": 0.02, "hidden_act": "gelu", "dropout": 0.0, "drop_path_rate": 0.0,
}  # fmt: skip
INTERN_6B: Final[Config] = {**INTERN_VIT, "qk_normalization": True, "qkv_bias": False, "norm_type": "rms_norm"}
QWEN_VISION: Final[Config] = {
    "model_type": "qwen2_5_vl_vision", "depth": 2, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4,
    "out_hidden_size": 128, "fullatt_block_indexes": [1], "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
    "window_size": 112, "in_channels": 3, "in_chans": 3, "hidden_act": "silu", "tokens_per_second": 2,
}  # fmt: skip
WHISPER: Final[Config] = {
    "model_type": "whisper", "d_model": 128, "encoder_attention_heads": 4, "encoder_ffn_dim": 256, "encoder_layers": 2,
    "num_mel_bins": 16, "max_source_positions": 64, "vocab_size": 320, "num_hidden_layers": 2, "decoder_layers": 2,
    "decoder_attention_heads": 4, "decoder_ffn_dim": 256, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
PLAIN: Final[Config] = {"torch_dtype": "bfloat16", "tie_word_embeddings": False}
INTERN: Final[Config] = {
    **PLAIN, "downsample_ratio": 0.5, "ps_version": "v2", "select_layer": -1, "force_image_size": 28, "min_dynamic_patch": 1,
    "max_dynamic_patch": 12, "dynamic_image_size": True, "use_thumbnail": True, "pad2square": False, "template": "internvl2_5",
}  # fmt: skip
KEYE: Final[Config] = {
    **HEADS, "attention_bias": False, "use_sliding_window": False, "sliding_window": None, "max_window_layers": 2,
    "image_token_id": 300, "video_token_id": 301, "vision_start_token_id": 302, "vision_end_token_id": 303,
    "rope_scaling": {"type": "default", "mrope_section": [4, 6, 6]},
    "vision_config": {**SIGLIP, "spatial_merge_size": 2, "temporal_patch_size": 2},
}  # fmt: skip
MINICPM: Final[Config] = {
    **HEADS, "vision_config": SIGLIP, "query_num": 64, "image_size": 28, "drop_vision_last_layer": False, "patch_size": 14,
    "batch_vision_input": True,
}  # fmt: skip
MOONDREAM: Final[Config] = {
    "text": {"dim": 128, "ff_dim": 256, "n_layers": 2, "vocab_size": 320, "n_heads": 4, "n_kv_heads": 4, "max_context": 256,
             "moe": {"start_layer": 1, "n_experts": 4, "n_experts_per_tok": 2, "expert_inner_dim": 128}},
    "vision": {"enc_dim": 128, "enc_n_layers": 2, "enc_n_heads": 4, "enc_ff_dim": 256, "enc_patch_size": 14, "crop_size": 28,
               "proj_out_dim": 128, "proj_inner_dim": 256, "max_crops": 2},
}  # fmt: skip
IMAGE: Final = ("<image>", "<IMG_CONTEXT>", "<img>", "</img>")


def inner(architecture: str, model_type: str, base: Config = BASE, /, **over: Any) -> Config:
    """Make the configuration of a language model inside."""
    return {**base, "architectures": [architecture], "model_type": model_type, **over}


QWEN2: Final = inner("Qwen2ForCausalLM", "qwen2")
QWEN3: Final = inner("Qwen3ForCausalLM", "qwen3", HEADS)
QWEN3_MOE: Final = inner("Qwen3MoeForCausalLM", "qwen3_moe", HEADS, num_experts=4, num_experts_per_tok=2,
                         moe_intermediate_size=128, norm_topk_prob=True)  # fmt: skip
MOONLIGHT: Final = inner("DeepseekV3ForCausalLM", "deepseek_v3", {**BASE, **ROUTED, **MLA}, q_lora_rank=None,
                         topk_method="noaux_tc", scoring_func="sigmoid")  # fmt: skip
LLAVA: Final[Config] = {
    **PLAIN, "text_config": QWEN3, "vision_config": SIGLIP, "image_token_index": 300, "image_token_id": 300,
    "vision_feature_layer": -2, "vision_feature_select_strategy": "full", "projector_hidden_act": "gelu",
    "vision_aspect_ratio": "anyres_max_9", "image_grid_pinpoints": [[28, 28], [56, 56]], "multimodal_projector_bias": True,
}  # fmt: skip
STEP3_TEXT: Final = inner("Step3TextForCausalLM", "step3_text", HEADS, num_attention_groups=1, share_q_dim=128, moe_layers_enum="1",
                          moe_num_experts=4, moe_top_k=2, moe_intermediate_size=128, share_expert_dim=128, norm_expert_weight=True,
                          max_seq_len=256)  # fmt: skip
QWEN3_5_MOE: Final = inner("Qwen3_5MoeForCausalLM", "qwen3_5_moe_text", HEADS, num_experts=4, num_experts_per_tok=2,
                           moe_intermediate_size=128, shared_expert_intermediate_size=128, full_attention_interval=2,
                           layer_types=["linear_attention", "full_attention"], linear_num_key_heads=4, linear_num_value_heads=4,
                           linear_key_head_dim=32, linear_value_head_dim=32, linear_conv_kernel_dim=4)  # fmt: skip

MIRRORED_MULTIMODAL: Final[tuple[Mirrored, ...]] = (
    text("internvl-qwen2", "InternVLChatModel", "internvl_chat", INTERN, llm_config=QWEN2, vision_config=INTERN_VIT, tokens=IMAGE),
    text("internvl-internlm2", "InternVLChatModel", "internvl_chat", INTERN, vision_config=INTERN_VIT, tokens=IMAGE,
         llm_config=inner("InternLM2ForCausalLM", "internlm2", bias=False)),
    text("internvl-qwen3-moe", "InternVLChatModel", "internvl_chat", INTERN, llm_config=QWEN3_MOE, vision_config=INTERN_VIT,
         tokens=IMAGE),
    text("internvl-6b", "InternVLChatModel", "internvl_chat", INTERN, llm_config=QWEN2, vision_config=INTERN_6B, tokens=IMAGE),
    text("h2ovl", "H2OVLChatModel", "h2ovl_chat", INTERN, use_msac=True, vision_config=INTERN_VIT, tokens=IMAGE,
         llm_config=inner("MistralForCausalLM", "mistral", sliding_window=None)),
    text("nvlm-d", "NVLM_D", "NVLM_D", INTERN, llm_config=QWEN2, vision_config={**INTERN_6B, "num_dummy_heads": 0}, tokens=IMAGE),
    text("skywork-r1v", "SkyworkR1VChatModel", "skywork_chat", INTERN, llm_config=QWEN2, vision_config=INTERN_VIT, tokens=IMAGE),
    text("eagle2.5-vl", "Eagle2_5_VLForConditionalGeneration", "eagle_2_5_vl", INTERN, image_token_index=300, text_config=QWEN2,
         vision_config={**SIGLIP, "vision_use_head": False}, tokens=IMAGE),
    text("interns1", "InternS1ForConditionalGeneration", "interns1", PLAIN, text_config=QWEN3, image_token_id=300,
         downsample_ratio=0.5, projector_hidden_act="gelu", vision_feature_layer=-1, vision_feature_select_strategy="default",
         vision_config={**INTERN_VIT, "model_type": "interns1_vision", "image_size": [28, 28], "patch_size": [14, 14],
                        "attention_bias": True, "use_qk_norm": False, "layer_scale_init_value": 0.1,
                        "use_absolute_position_embeddings": True, "use_mask_token": False, "use_mean_pooling": True}),
    text("minicpm-v-2.5", "MiniCPMV", "minicpmv", MINICPM, version=2.5, query_num=96, tokens=IMAGE),
    text("minicpm-v-2.6", "MiniCPMV", "minicpmv", MINICPM, version=2.6, tokens=IMAGE),
    text("minicpm-v-4", "MiniCPMV", "minicpmv", MINICPM, version="4.0", tokens=IMAGE),
    text("minicpm-v-4.5", "MiniCPMV", "minicpmv", MINICPM, version="4.5", attention_bias=False, tokens=IMAGE),
    text("minicpm-o", "MiniCPMO", "minicpmo", MINICPM, version=2.6, init_vision=True, init_audio=True, init_tts=False,
         audio_pool_step=2, audio_config=WHISPER, tokens=IMAGE),
    text("glm-4v", "GLM4VForCausalLM", "chatglm", CHATGLM, rope_ratio=1, boi_token_id=300, eoi_token_id=301, merges=WORDS,
         vision_config={"dropout_prob": 0.0, "hidden_act": "gelu", "in_channels": 3, "num_hidden_layers": 2, "num_heads": 4,
                        "hidden_size": 128, "intermediate_size": 256, "patch_size": 14, "num_positions": 5, "image_size": 28,
                        "layer_norm_eps": 1e-6, "scaling_factor": 8}),
    text("phi-4-siglip", "Phi4ForCausalLMV", "phi4-siglip", BASE, mm_hidden_size=1152, mm_projector_type="mlp2x_gelu",
         partial_rotary_factor=1.0, original_max_position_embeddings=256, sliding_window=256,
         vision_config={**SIGLIP, "model_type": "siglip2_vision_model", "num_patches": 4}),
    text("kimi-vl", "KimiVLForConditionalGeneration", "kimi_vl", PLAIN, vocab_size=320, media_placeholder_token_id=300,
         pad_token_id=0, text_config=MOONLIGHT,
         vision_config={**TOWER, "model_type": "moonvit", "merge_kernel_size": [2, 2], "init_pos_emb_height": 8,
                        "init_pos_emb_width": 8}),
    text("ovis1.6", "Ovis", "ovis", PLAIN, hidden_size=128, conversation_formatter_class="QwenConversationFormatter",
         llm_attn_implementation="sdpa", multimodal_max_length=256, disable_tie_weight=False, llm_config=QWEN2,
         visual_tokenizer_config={
             "model_type": "aimv2_visual_tokenizer", "vocab_size": 256, "tokenize_function": "softmax", "tau": 1.0, "depths": None,
             "drop_cls_token": False, "hidden_stride": 2,
             "backbone_config": {**TOWER, "model_type": "aimv2", "rms_norm_eps": 1e-5, "projection_dropout": 0.0,
                                 "qkv_bias": False, "use_bias": False}}),
    text("opencua", "OpenCUAForConditionalGeneration", "opencua", PLAIN, text_config=QWEN2, vision_config=QWEN_VISION,
         media_placeholder_token_id=300, vocab_size=320, tokens=IMAGE),
    text("dots-ocr", "DotsOCRForCausalLM", "dots_ocr", BASE, image_token_id=300, video_token_id=301, attention_bias=True,
         use_sliding_window=False, max_window_layers=2, sliding_window=256,
         vision_config={**TOWER, "embed_dim": 128, "post_norm": True, "rms_norm_eps": 1e-5, "spatial_merge_size": 2,
                        "temporal_patch_size": 1, "use_bias": False}),
    text("keye", "KeyeForConditionalGeneration", "Keye", KEYE),
    text("keye-1.5", "KeyeVL1_5ForConditionalGeneration", "KeyeVL1_5", KEYE),
    text("bee", "BeeForConditionalGeneration", "bee", LLAVA),
    text("r-4b", "RForConditionalGeneration", "R", LLAVA),
    text("step3-vl-10b", "StepVLForConditionalGeneration", "step_robotics", PLAIN, text_config=QWEN3, projector_bias=False,
         understand_projector_stride=2, image_token_id=300, hidden_size=128,
         vision_config={"model_type": "perception_encoder", "width": 128, "layers": 2, "heads": 4, "mlp_ratio": 2, "patch_size": 14,
                        "image_size": 28, "output_dim": None, "use_cls_token": False, "use_ln_pre": True, "use_ln_post": False,
                        "use_abs_posemb": True, "use_rope2d": True, "ls_init_value": 0.1, "hidden_act": "quick_gelu"}),
    text("llava-onevision-2", "LlavaOnevision2ForConditionalGeneration", "llava_onevision2", PLAIN, text_config=QWEN3,
         image_token_id=300, video_token_id=301, vision_start_token_id=302,
         vision_config={**TOWER, "model_type": "onevision_encoder", "spatial_merge_size": 2, "layer_norm_type": "layer_norm",
                        "hidden_act": "gelu", "rope_theta": 10000.0, "out_hidden_size": 128}),
    text("hyperclovax-v2", "HCXVisionV2ForCausalLM", "vlm", PLAIN, text_config=inner("LlamaForCausalLM", "llama", HEADS),
         vision_config={**QWEN_VISION, "model_type": "qwen2_5_vl_visual"}, image_token_id=300, video_token_id=301,
         vision_input_chunk_size=None, mm_projector_type="linear", img_start_id=300, hidden_size=128),
    text("moondream3", "Moondream3ForCausalLM", "moondream3", PLAIN, config=MOONDREAM, remote=False, tokens=IMAGE),
    text("step3-vl", "Step3VLForConditionalGeneration", "step3_vl", PLAIN, remote=False, image_token_id=300, hidden_size=128,
         understand_projector_stride=2, projector_bias=True, image_token_len=9, patch_token_len=4, text_config=STEP3_TEXT,
         vision_config={**TOWER, "model_type": "step3_vision_encoder", "output_hidden_size": 128, "hidden_act": "quick_gelu"},
         merges=((r"(\.moe)\.experts\.\d+\.", r"\1.", "stack"),)),
    text("interns2-preview", "InternS2PreviewForConditionalGeneration", "interns2_preview", PLAIN, image_token_id=300,
         video_token_id=301, vision_start_token_id=302, vision_end_token_id=303, text_config=QWEN3_5_MOE,
         vision_config={"model_type": "qwen3_5_moe", "depth": 2, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4,
                        "out_hidden_size": 128, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
                        "in_channels": 3, "num_position_embeddings": 16, "deepstack_visual_indexes": [],
                        "hidden_act": "gelu_pytorch_tanh"}),
    text("fireredasr2", "FireRedASR2ForConditionalGeneration", "fireredasr2", QWEN2, audio_encoder_conf={}),
    text("funasr", "FunASRForConditionalGeneration", "funasr", QWEN3, audio_encoder_conf={}),
)  # fmt: skip
