"""Families that skeletons alone are learnt from: default configurations that load in vLLM with a few numbers or names changed."""

from __future__ import annotations

from typing import Any, Final

from family import Family
from family_multimodal import CLIP, LLAMA, image
from family_table import VISION_MODEL

INSIDE: Final = ((r"^language_model\.model\.model\.", "language_model.model."),)
"""As published checkpoints call the text model."""


def small(architecture: str, *, renames: tuple[tuple[str, str], ...] = (), **config: Any) -> Family:
    """Make a row from what differs from the default made small."""
    return Family(
        name=f"learnt-{architecture}", architecture=architecture, shrunk=True, head=None, text="text_config",
        config=config, renames=renames,
    )  # fmt: skip


LEARNT_FAMILIES: Final[tuple[Family, ...]] = (
    image("llava-next-video", "LlavaNextVideoForConditionalGeneration", LLAMA, CLIP, image_token_index=300,
          video_token_index=301, vision_feature_layer=-1, image_grid_pinpoints=[[28, 28]], head="language_model.lm_head",
          renames=VISION_MODEL),
    small("Glm4vMoeForConditionalGeneration", text_config={"head_dim": 32, "use_qk_norm": False}),
    small("GlmOcrForConditionalGeneration", text_config={"intermediate_size": 384}),  # both take the merger's width of it
    small("GlmAsrForConditionalGeneration", renames=INSIDE),
    small("AudioFlamingo3ForConditionalGeneration", renames=INSIDE),
    small("GraniteSpeechForConditionalGeneration", renames=INSIDE),
    small("GraniteSpeechPlusForConditionalGeneration", renames=INSIDE),
)  # fmt: skip
