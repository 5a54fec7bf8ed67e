"""Families that skeletons alone are learnt from: default configurations that load in vLLM with a few numbers or names changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from family import VISION, Config, Family
from family_multimodal import CLIP, LLAMA, image
from family_table import VISION_MODEL

INSIDE: Final = ((r"^language_model\.model\.model\.", "language_model.model."),)
"""As published checkpoints call the text model."""


def small(architecture: str, name: str = "", /, *, renames: tuple[tuple[str, str], ...] = (), **config: Any) -> Family:
    """Make a row from what differs from the default made small."""
    return Family(
        name=f"learnt-{name or architecture}", architecture=architecture, shrunk=True, head=None, text="text_config",
        config=config, renames=renames,
    )  # fmt: skip


def small_text(name: str, architecture: str, **config: Any) -> Family:
    """Make a row of a text model from what differs from the default made small."""
    return Family(name=f"learnt-{name}", architecture=architecture, shrunk=True, head=None, config=config)


UNTIED: Final[Config] = {"tie_word_embeddings": False}


def omni(name: str, architecture: str, **towers: Config) -> Family:
    """Make a row of a model that speaks too, of which vLLM reads the part that thinks."""
    thinker = {**UNTIED, "text_config": UNTIED, **towers}
    return Family(
        name=f"learnt-{name}", architecture=architecture, shrunk=True, head=None, text="thinker_config.text_config",
        config={**UNTIED, "enable_audio_output": False, "thinker_config": thinker},
    )  # fmt: skip


TOWER: Final[Config] = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4}
GEMMA4: Final[Config] = {
    "num_hidden_layers": 4,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "global_head_dim": 64,
}
GEMMA4_DENSE: Final[Config] = {
    **GEMMA4, "hidden_size_per_layer_input": 0, "attention_k_eq_v": True, "num_global_key_value_heads": 1,
}  # fmt: skip
GEMMA4_KINDS: Final[Mapping[str, Config]] = {
    "one-width": {**GEMMA4, "global_head_dim": 32},
    "shared-keys": {**GEMMA4, "num_kv_shared_layers": 2, "use_double_wide_mlp": True},
    "dense": GEMMA4_DENSE,
    "moe": {
        **GEMMA4_DENSE,
        "enable_moe_block": True,
        "num_experts": 4,
        "top_k_experts": 2,
        "moe_intermediate_size": 128,
    },
}
"""As the published sizes differ: layers that share keys and values, layers whose keys are their values, experts."""
GEMMA4_VISION: Final[Config] = {
    **TOWER, "num_key_value_heads": 4, "head_dim": 32, "patch_size": 14, "pooling_kernel_size": 1, "position_embedding_size": 64,
}  # fmt: skip
GEMMA4_EMBEDDER: Final[Config] = {
    "patch_size": 14, "pooling_kernel_size": 1, "mm_embed_dim": 128, "mm_posemb_size": 64, "output_proj_dims": 128,
}  # fmt: skip
ROUTER: Final[Config] = {"topk_method": "noaux_tc", "scoring_func": "sigmoid"}
"""As published configs say of a router with a bias, and transformers' classes do not."""

VOXTRAL: Final[Config] = {
    **VISION, "model_type": "voxtral_encoder", "num_mel_bins": 16, "max_source_positions": 32,
    "downsample_factor": 4, "window_size": 160, "sampling_rate": 16000,
}  # fmt: skip
"""With the keys that vLLM reads and transformers' class does not have."""

LEARNT_FAMILIES: Final[tuple[Family, ...]] = (
    Family(name="learnt-voxtral", architecture="VoxtralForConditionalGeneration", text="text_config", head=None,
           config={"text_config": LLAMA, "audio_token_id": 300, "audio_config": VOXTRAL}),
    image("llava-next-video", "LlavaNextVideoForConditionalGeneration", LLAMA, CLIP, image_token_index=300,
          video_token_index=301, vision_feature_layer=-1, image_grid_pinpoints=[[28, 28]], head="language_model.lm_head",
          renames=VISION_MODEL),
    small("Glm4vMoeForConditionalGeneration", text_config={"head_dim": 32, "use_qk_norm": False}),
    small("GlmOcrForConditionalGeneration", text_config={"intermediate_size": 384}),  # both take the merger's width of it
    small("GlmAsrForConditionalGeneration", renames=INSIDE),
    small("AudioFlamingo3ForConditionalGeneration", renames=INSIDE),
    small("GraniteSpeechForConditionalGeneration", renames=INSIDE),
    small("GraniteSpeechPlusForConditionalGeneration", renames=INSIDE),
    *(small_text(f"gemma4-{kind}", "Gemma4ForCausalLM", **config) for kind, config in GEMMA4_KINDS.items()),
    *(small("Gemma4ForConditionalGeneration", f"gemma4-mm-{kind}", text_config=config, vision_config=GEMMA4_VISION)
      for kind, config in GEMMA4_KINDS.items() if kind in ("shared-keys", "moe")),
    *(small("Gemma4UnifiedForConditionalGeneration", f"gemma4-unified-{kind}", text_config=config, vision_config=GEMMA4_EMBEDDER)
      for kind, config in GEMMA4_KINDS.items() if kind in ("shared-keys", "dense")),
    small_text("stablelm-qk", "StableLmForCausalLM", qk_layernorm=True),
    small_text("deepseek-v3.2", "DeepseekV32ForCausalLM", **ROUTER),
    small_text("glm-5", "GlmMoeDsaForCausalLM", **ROUTER),
    small("MuseGlimmerForConditionalGeneration", "muse-glimmer", out_hidden_size=512, projector_hidden_size=4096,
          vision_config={"output_dim": 512}),
    omni("qwen2.5-omni", "Qwen2_5OmniForConditionalGeneration", audio_config={"output_dim": 128}),
    omni("qwen3-omni", "Qwen3OmniMoeForConditionalGeneration", audio_config={"output_dim": 128, "downsample_hidden_size": 32},
         vision_config={"image_size": 28, "num_position_embeddings": 4, "deepstack_visual_indexes": [0],
                        "apply_vit_abs_pos_embed": True}),
)  # fmt: skip
