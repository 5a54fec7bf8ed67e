"""Models of which vLLM serves no sliding window in some layers alone.

Source: vLLM 0.32.0 ``model_executor/models/qwen2.py:351``; which classes reach it is read by ``benchmarks/learn/vllm_checks.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import dotted
from ctq.engines.configs.fields import known_number, switch_value
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import read_data
from ctq.engines.vllm_models.text_architecture import text_architecture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_KINDS, _WINDOWED, _SWITCH, _LAYERS = "layer_types", "max_window_layers", "use_sliding_window", "num_hidden_layers"

_NOW = {"attention": "full_attention"}
"""Older names of kinds, which transformers 5.19 takes for the newer (``configuration_utils.py:92``)."""


def half_windowed(config: ModelConfig) -> Iterator[Refused]:
    """Yield the key that gives some layers a window, by dotted path, where vLLM takes all of them or none.

    Where a config lists no kinds, transformers' class works them out: those from ``max_window_layers`` on have the window.
    """
    known = read_data("vllm_checks")["one_kind"]
    if text_architecture(config) not in known and config.architecture not in known:
        return
    where, level = read_levels(config)[-1]
    first, layers = known_number(config, _WINDOWED), known_number(config, _LAYERS)
    if first is None or layers is None or first == layers:
        return
    kinds, why = level.get(_KINDS), f"vLLM serves no window in some layers alone, unless {_WINDOWED} is {_LAYERS}"
    if isinstance(kinds, list):
        if len({_NOW.get(kind, kind) for kind in kinds if isinstance(kind, str)}) > 1:
            yield dotted(where, _KINDS), f"lists several kinds of layers: {why}"
    elif switch_value(config, _SWITCH) and level.get("sliding_window", 0) is not None and 0 < first < layers:
        yield dotted(where, _WINDOWED), f"is {first} of {layers} layers: {why}"
