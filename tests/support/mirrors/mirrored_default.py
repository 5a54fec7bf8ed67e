"""Architectures with no row of numbers of their own, as vLLM would load them: the default configuration made small, but for a few keys."""

from __future__ import annotations

from typing import Any, Final

from mirrored import Mirrored
from mirrored_multimodal import IMAGE

LAYERS: Final = {
    "layer_types": ["sliding_attention", "full_attention"],
    "num_kv_shared_layers": 0,
    "per_layer_config": None,
}
GEMMA4_VISION: Final = {
    "model_type": "gemma4_vision", "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32, "patch_size": 14, "pooling_kernel_size": 1,
    "position_embedding_size": 64, "rms_norm_eps": 1e-6,
}  # fmt: skip


def default(architecture: str, /, **config: Any) -> Mirrored:
    """Make a row from what differs from the default."""
    return Mirrored(
        name=f"mirrored-{architecture}",
        architecture=architecture,
        config=config,
        remote=False,
        shrunk=True,
        tokens=IMAGE,
    )


MIRRORED_DEFAULT: Final = (
    default("AudioFlamingo3ForConditionalGeneration"),
    default("BagelForConditionalGeneration"),
    default("Blip2ForConditionalGeneration"),
    default("CohereCompassForConditionalGeneration", tie_word_embeddings=True, text_config={"tie_word_embeddings": True}),
    default("Exaone4_5_ForConditionalGeneration"),
    default("FunAudioChatForConditionalGeneration", audio_config={"codebook_size": 16}),
    default("Gemma3nForCausalLM", intermediate_size=[256, 256], activation_sparsity_pattern=[0.0, 0.0], **LAYERS),
    default("Gemma4ForCausalLM", **LAYERS),
    default("Gemma4ForConditionalGeneration", text_config=LAYERS, vision_config=GEMMA4_VISION),
    default("Gemma4UnifiedForConditionalGeneration", text_config=LAYERS, vision_config=GEMMA4_VISION),
    default("Glm4vMoeForConditionalGeneration", text_config={"head_dim": 32, "use_qk_norm": False}),
    default("GlmAsrForConditionalGeneration"),
    default("GlmOcrForConditionalGeneration"),
    default("GraniteMoeSWAForCausalLM"),
    default("GraniteSpeechForConditionalGeneration"),
    default("GraniteSpeechPlusForConditionalGeneration"),
    default("HrmTextForCausalLM"),
    default("LightOnOCRForConditionalGeneration", vision_feature_layer=-1, projector_hidden_act="gelu", multimodal_projector_bias=False),
    default("LlavaNextVideoForConditionalGeneration"),
    default("MiniCPMV4_6ForConditionalGeneration"),
    default("MiniCPMV4_7ForConditionalGeneration"),
    default("MossTranscribeDiarizeForConditionalGeneration", text_config={"tie_word_embeddings": True}),
    default("MuseGlimmerForCausalLM", vision_config={"output_dim": 512}),
    default("PaddleOCRVLForConditionalGeneration"),
    default("QianfanOCRForConditionalGeneration"),
    default("Qwen3ASRForConditionalGeneration"),
    default("Qwen3_5MoeForConditionalGeneration"),
)  # fmt: skip
