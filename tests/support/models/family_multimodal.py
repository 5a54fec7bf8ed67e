"""Models with vision or audio beside the text, and encoder-decoders, for the sweep over architectures."""

from __future__ import annotations

from typing import Any, Final

from family import GQA, TOKENS, VISION, Config, Family
from family_hybrid import DELTA, LFM2
from family_table import MROPE, VISION_MODEL

CLIP: Final[Config] = {**VISION, "model_type": "clip_vision_model", "projection_dim": 128}
SIGLIP: Final[Config] = {**VISION, "model_type": "siglip_vision_model", "vision_use_head": False}
PIXTRAL: Final[Config] = {**VISION, "model_type": "pixtral", "head_dim": 32}
LLAMA: Final[Config] = {**GQA, "model_type": "llama"}
MISTRAL: Final[Config] = {**GQA, "model_type": "mistral", "head_dim": 32}
QWEN2: Final[Config] = {**GQA, "model_type": "qwen2"}
QWEN3: Final[Config] = {**GQA, "model_type": "qwen3", "head_dim": 32}
QWEN_TOKENS: Final[Config] = {
    "image_token_id": 300, "video_token_id": 301, "vision_start_token_id": 302, "vision_end_token_id": 303,
}  # fmt: skip
QWEN3_VISION: Final[Config] = {
    "depth": 1, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4, "out_hidden_size": 128,
    "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
}  # fmt: skip
EXPERTS: Final[Config] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
AUDIO: Final[Config] = {
    "d_model": 128, "encoder_layers": 1, "encoder_attention_heads": 4, "encoder_ffn_dim": 256, "num_mel_bins": 16,
    "max_source_positions": 32,
}  # fmt: skip


def image(name: str, architecture: str, text: Config, vision: Config, **over: Any) -> Family:
    """Make a row for a model with ``text_config`` and ``vision_config``; fields of `Family` may be mixed in."""
    fields = {key: over.pop(key) for key in ("head", "tied", "moe", "notes", "renames", "processor") if key in over}
    if fields.get("tied"):
        fields.setdefault("head", None)
    config = {"text_config": text, "vision_config": vision, **over}
    return Family(name=name, architecture=architecture, config=config, multimodal=True, text="text_config", **fields)


MULTIMODAL_FAMILIES: Final[tuple[Family, ...]] = (
    image("llava", "LlavaForConditionalGeneration", LLAMA, CLIP, image_token_index=300, vision_feature_layer=-1,
          head="language_model.lm_head",
          renames=VISION_MODEL),
    image("llava-next", "LlavaNextForConditionalGeneration", MISTRAL, CLIP, image_token_index=300, vision_feature_layer=-1,
          image_grid_pinpoints=[[28, 28]], head="language_model.lm_head",
          renames=VISION_MODEL),
    image("llava-onevision", "LlavaOnevisionForConditionalGeneration", QWEN2, SIGLIP, image_token_index=300,
          video_token_index=301, image_grid_pinpoints=[[28, 28]], head="language_model.lm_head",
          renames=VISION_MODEL),
    image("mistral3", "Mistral3ForConditionalGeneration", MISTRAL, PIXTRAL, image_token_index=300,
          head="language_model.lm_head"),
    image("internvl", "InternVLForConditionalGeneration", QWEN2,
          {**VISION, "model_type": "internvl_vision", "image_size": [28, 28], "patch_size": [14, 14]}, image_token_id=300,
          head="language_model.lm_head"),
    image("idefics3", "Idefics3ForConditionalGeneration", LLAMA, {**VISION, "model_type": "idefics3_vision"},
          image_token_id=300),
    image("smolvlm", "SmolVLMForConditionalGeneration", LLAMA, {**VISION, "model_type": "smolvlm_vision"},
          image_token_id=300),
    image("paligemma", "PaliGemmaForConditionalGeneration", {**GQA, "model_type": "gemma", "head_dim": 32}, SIGLIP,
          image_token_index=300, projection_dim=128, hidden_size=128, tied=True,
          renames=VISION_MODEL),
    image("aya-vision", "AyaVisionForConditionalGeneration", {**GQA, "model_type": "cohere2", "head_dim": 32}, SIGLIP,
          image_token_index=300, tied=True, processor=True,
          renames=VISION_MODEL),
    image("cohere2-vision", "Cohere2VisionForConditionalGeneration", {**GQA, "model_type": "cohere2", "head_dim": 32}, SIGLIP,
          image_token_id=300, alignment_intermediate_size=256, tied=True,
          renames=VISION_MODEL),
    image("qwen2-vl", "Qwen2VLForConditionalGeneration", {**GQA, "rope_parameters": MROPE},
          {"depth": 1, "embed_dim": 128, "hidden_size": 128, "num_heads": 4, "mlp_ratio": 2}, **QWEN_TOKENS),
    image("qwen2-vl-tied", "Qwen2VLForConditionalGeneration", {**GQA, "rope_parameters": MROPE},
          {"depth": 1, "embed_dim": 128, "hidden_size": 128, "num_heads": 4, "mlp_ratio": 2}, tied=True, **QWEN_TOKENS),
    image("qwen3-vl", "Qwen3VLForConditionalGeneration", {**GQA, "head_dim": 32, "rope_parameters": MROPE}, QWEN3_VISION,
          **QWEN_TOKENS),
    image("qwen3-vl-moe", "Qwen3VLMoeForConditionalGeneration",
          {**GQA, **EXPERTS, "head_dim": 32, "norm_topk_prob": True, "rope_parameters": MROPE}, QWEN3_VISION, moe=True,
          notes="experts are fused 3D tensors", **QWEN_TOKENS),
    image("qwen3.5-vl", "Qwen3_5ForConditionalGeneration", {**GQA, **DELTA, "head_dim": 32},
          {key: value for key, value in QWEN3_VISION.items() if key != "deepstack_visual_indexes"}, **QWEN_TOKENS),
    image("glm4v", "Glm4vForConditionalGeneration",
          {**GQA, "rope_parameters": {**MROPE, "partial_rotary_factor": 0.5, "mrope_section": [2, 3, 3]}},
          {"depth": 1, "hidden_size": 128, "intermediate_size": 256, "num_heads": 4, "out_hidden_size": 128,
           "image_size": 28}, **QWEN_TOKENS),
    image("llama4", "Llama4ForConditionalGeneration",
          {**GQA, "num_experts_per_tok": 1, "num_local_experts": 4, "head_dim": 32, "intermediate_size_mlp": 256},
          {**VISION, "vision_output_dim": 128, "projector_input_dim": 128, "projector_output_dim": 128}, moe=True,
          image_token_index=300, head="language_model.lm_head", notes="experts are fused 3D tensors"),
    image("lfm2-vl", "Lfm2VlForConditionalGeneration",
          {**GQA, **LFM2, "model_type": "lfm2"},
          {**VISION, "model_type": "siglip2_vision_model", "num_patches": 16, "vision_use_head": False},
          image_token_id=300, projector_hidden_size=128, tied=True, renames=VISION_MODEL),
    Family(name="voxtral", architecture="VoxtralForConditionalGeneration", multimodal=True, text="text_config",
           head="language_model.lm_head",
           config={"text_config": LLAMA, "audio_token_id": 300, "audio_config": {
               **VISION, "model_type": "voxtral_encoder", "num_mel_bins": 16, "max_source_positions": 32}},
           notes="vLLM loads only the names of its maker's own format"),
    Family(name="qwen2-audio", architecture="Qwen2AudioForConditionalGeneration", multimodal=True, text="text_config",
           head="language_model.lm_head",
           config={"text_config": QWEN2, "audio_config": {**AUDIO, "model_type": "qwen2_audio_encoder"},
                   "audio_token_index": 300},
           renames=((r"^language_model\.model\.model\.", "language_model.model."),)),
    Family(name="whisper", architecture="WhisperForConditionalGeneration", multimodal=True, tied=True, head=None,
           config={**AUDIO, **TOKENS, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 256,
                   "max_target_positions": 64, "decoder_start_token_id": 1, "begin_suppress_tokens": None},
           notes="encoder-decoder; the head proj_out is always tied"),
)  # fmt: skip
