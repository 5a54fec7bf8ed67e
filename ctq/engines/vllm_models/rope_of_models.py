"""What vLLM's own classes ask of rotary settings, beyond what config classes check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import dotted
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.configs.rope_settings import DEFAULT, NEWER, rope_kind, rope_settings
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.text_architecture import text_architecture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_LENGTH = "original_max_position_embeddings"
_BY_LENGTH = frozenset({"DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM", "Glm4MoeLiteForCausalLM"})
"""Classes that scale by the original length whatever the kind (vLLM 0.32.0 ``model_executor/models/deepseek_v2.py``)."""
_WITH_LENGTH = frozenset({"yarn", "longrope", "llama3"})
"""Kinds to whose settings transformers 5.19 adds the length."""
_INTERLEAVED = frozenset({
    "CohereForCausalLM", "Cohere2ForCausalLM", "Cohere2MoeForCausalLM", "Glm4ForCausalLM", "Ernie4_5_MoeForCausalLM",
    "GPTJForCausalLM",
})  # fmt: skip
"""Classes that rotate pairs of neighbours, which factors of frequencies are not for.

Source: vLLM 0.32.0 ``model_executor/layers/rotary_embedding/phi3_long_rope_scaled_rope.py``.
"""


_OF_BACKEND = frozenset({"default", "mrope", "linear", "dynamic", "yarn", "longrope", "su", "llama3", "proportional"})
"""Kinds that models of the Transformers backend have (transformers 5.19 ``modeling_rope_utils``), and what vLLM takes for one."""
_BY_STATED_BASE = frozenset({"GPTJForCausalLM"})
"""Classes whose config class fills in no base: settings that are stated need theirs (vLLM 0.32.0 ``models/gpt_j.py:95``)."""
_BASE = "rope_theta"


def refused_by_rotary(config: ModelConfig) -> Iterator[Refused]:
    """Yield the key of rotary settings, by dotted path, of which the text model's class makes no embedding, with the reason."""
    name, (path, level) = text_architecture(config), read_levels(config)[-1]
    key, settings = rope_settings(level)
    if name in _BY_STATED_BASE:
        yield from _without_base(path, level)
    kind = rope_kind(settings) if isinstance(settings, dict) else None
    if not isinstance(kind, str):
        return
    if name in _BY_LENGTH and kind != DEFAULT:
        needed = ("factor", *([] if kind in _WITH_LENGTH else [_LENGTH]))
        lost = [number for number in needed if number not in settings]
        yield from ((dotted(path, key), f"of the kind '{kind}' lacks {one}, by which {name} scales") for one in lost)
    if is_served_by_backend(name) and kind not in _OF_BACKEND:
        yield dotted(path, key), f"is of the kind '{kind}', which transformers has not, whose {name} vLLM builds"
    if name in _INTERLEAVED and kind == "longrope":
        yield dotted(path, key), f"is of the kind '{kind}', which {name} does not take"


def _without_base(path: str, level: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield rotary settings that are null, or that state no base."""
    key, settings = rope_settings(level)
    if isinstance(settings, dict) and settings.get(_BASE, level.get(_BASE)) is None:
        yield dotted(path, key), f"lacks {_BASE}"
    elif not key and NEWER in level and level[NEWER] is None:
        yield dotted(path, NEWER), "is null, where vLLM puts something into it"
