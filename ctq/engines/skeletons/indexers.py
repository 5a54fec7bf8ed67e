"""Which layers of sparse attention have an indexer of their own: the others attend to what a layer before them chose.

Source: vLLM 0.32.0 ``model_executor/models/deepseek_v2.py:1143``; ``models/deepseek_v32/nvidia/model.py:420`` refuses others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.fields import stated
from ctq.engines.skeletons.layer_counts import layer_count
from ctq.recipe.template import inside_layer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctq.checkpoint.config import ModelConfig

_INDEXER = ".indexer."
_SHARED = "S"
"""The letter of a layer without one in a pattern."""
_OFFSET = 2
"""The first layers that always have one, and one more, where the config does not say how many."""


def indexed_layers(config: ModelConfig, tensors: Iterable[str]) -> dict[str, frozenset[int]]:
    """Return the layers that need each tensor of an indexer, by what its name has behind the number of the layer.

    Nothing where all layers need them, or where the config does not tell.
    """
    inside = [inside_layer(name) for name in tensors if _INDEXER in name]
    layers = _indexed(config, layer_count(config) or 0) if inside else None
    return dict.fromkeys(inside, layers) if layers is not None else {}


def _indexed(config: ModelConfig, count: int) -> frozenset[int] | None:
    pattern, step = stated(config, "index_topk_pattern", None), stated(config, "index_topk_freq", 1)
    offset = stated(config, "index_skip_topk_offset", _OFFSET)
    if isinstance(pattern, str | list):
        return frozenset(range(count)) - {layer for layer, letter in enumerate(pattern) if letter == _SHARED}
    if type(step) is not int or type(offset) is not int or step <= 1:
        return None
    return frozenset(layer for layer in range(count) if max(layer - offset + 1, 0) % step == 0)
