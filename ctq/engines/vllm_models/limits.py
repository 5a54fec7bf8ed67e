"""What is known to break on a quantized head although it dispatches and loads, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.configs.fields import stated

if TYPE_CHECKING:
    from collections.abc import Collection

    from ctq.checkpoint.config import ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadLimit:
    """One known limit.

    ``architectures`` are those that it concerns, none for all; ``setting`` is the switch of the config without which it does not
    apply; ``breaks`` says that it always does there, not only when a feature is used; ``source`` is its place in vLLM 0.32.0.
    """

    code: str
    text: str
    source: str
    architectures: frozenset[str] = frozenset()
    setting: str | None = None
    breaks: bool = False


HEAD_LIMITS: tuple[HeadLimit, ...] = (
    HeadLimit(
        code="lora",
        text="LoRA adapters that target the head read its dense weight",
        source="lora/utils.py:138",
    ),
    HeadLimit(
        code="shared-draft",
        text="draft models that share the target's head (EAGLE and the like) read its dense weight",
        source="vLLM issue 53104",
    ),
    HeadLimit(
        code="head-dtype",
        text="a head_dtype other than the model's raises ValueError",
        source="model_executor/layers/logits_processor.py:151",
    ),
    HeadLimit(
        code="classifier",
        text="converting the model to a classifier reads the head's dense weight",
        source="model_executor/models/adapters.py:568",
    ),
    HeadLimit(
        code="inkling-logits",
        text="Inkling multiplies with lm_head.weight itself, past the quantization",
        source="models/inkling/nvidia/logits_processor.py:122",
        architectures=frozenset({"InklingForCausalLM", "InklingForConditionalGeneration"}),
        breaks=True,
    ),
    HeadLimit(
        code="diffusion-logits",
        text="DiffusionGemma takes rows of lm_head.weight itself, past the quantization",
        source="model_executor/models/diffusion_gemma.py:330",
        architectures=frozenset({"DiffusionGemmaForBlockDiffusion"}),
        breaks=True,
    ),
    HeadLimit(
        code="gemma4-draft",
        text="Gemma 4's multi-token prediction gathers lm_head.weight of the draft itself, past the quantization",
        source="model_executor/models/gemma4_mtp.py:550",
        architectures=frozenset({"Gemma4MTPModel"}),
        breaks=True,
    ),
    HeadLimit(
        code="norm-head",
        text="with norm_head in the config vLLM normalises every tensor lm_head.weight* while it loads, which integers do not bear",
        source="model_executor/models/bailing_moe.py:559",
        architectures=frozenset({"BailingMoeForCausalLM", "BailingMoeV2ForCausalLM"}),
        setting="norm_head",
        breaks=True,
    ),
    HeadLimit(
        code="tied-packed",
        text="with tied embeddings every tensor lm_head.weight* is dropped while loading",
        source="model_executor/models/hy_v3.py:573",
        architectures=frozenset({"HYV3ForCausalLM"}),
    ),
)


def limits_of(architecture: str | None) -> tuple[HeadLimit, ...]:
    """Return the limits of a quantized head of ``architecture``: those of all, then its own."""
    return tuple(limit for limit in HEAD_LIMITS if not limit.architectures or architecture in limit.architectures)


def limiting_switches(config: ModelConfig) -> frozenset[str]:
    """Return the switches that a config sets of those that limits ask for."""
    asked = {limit.setting for limit in HEAD_LIMITS if limit.setting is not None}
    return frozenset(name for name in asked if stated(config, name, None))


def breaking_limit(architecture: str | None, switches: Collection[str]) -> HeadLimit | None:
    """Return the limit that makes a quantized head of ``architecture`` useless in vLLM, if there is one.

    ``switches`` are those of its config that are set, as ``limiting_switches`` returns them.
    """
    found = (limit for limit in limits_of(architecture) if limit.setting is None or limit.setting in switches)
    return next((limit for limit in found if limit.breaks), None)
