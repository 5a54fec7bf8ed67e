"""Models whose last layers share the cache of keys and values with the last earlier layer of their kind.

Source: vLLM 0.32.0 ``model_executor/models/gemma4.py:474``, which stops where no earlier layer is of that kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import dotted
from ctq.engines.configs.fields import known_number
from ctq.engines.configs.layer_lists import assumed_layers
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.vllm_models.text_architecture import text_architecture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_ARCHITECTURES = frozenset({"Gemma4ForCausalLM", "gemma4_unified_text"})
_KINDS, _LAYERS, _SHARED = "layer_types", "num_hidden_layers", "num_kv_shared_layers"


def unshared_kinds(config: ModelConfig) -> Iterator[Refused]:
    """Yield the number of layers that share, by dotted path, where no earlier layer is of the kind of one of them."""
    if text_architecture(config) not in _ARCHITECTURES:
        return
    where, level = read_levels(config)[-1]
    layers, shared = known_number(config, _LAYERS), known_number(config, _SHARED)
    if layers is None or not shared or shared >= layers:
        return
    stated = level.get(_KINDS)
    kinds = stated if isinstance(stated, list) else assumed_layers(level, _KINDS, layers) or []
    lost = sorted(
        {str(kind) for kind in kinds[layers - shared : layers]} - {str(kind) for kind in kinds[: layers - shared]}
    )
    if lost:
        yield dotted(where, _SHARED), f"is {shared}: no layer before those last ones is of kind {' or '.join(lost)}"
