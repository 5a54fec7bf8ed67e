"""Which decoder layers vLLM builds with attention, which with a state space or a convolution: configs list or count them.

Source: vLLM 0.32.0 ``model_executor/models/{jamba,nemotron_h,qwen3_next,lfm2,granitemoehybrid,zamba2}.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.fields import known_number
from ctq.engines.configs.layer_lists import assumed_layers
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.skeletons.layer_counts import layer_count

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig

_LISTS = ("layer_types", "layers_block_type", "hybrid_override_pattern")
_MIXERS = {
    **dict.fromkeys(("attention", "full_attention", "sliding_attention", "chunked_attention", "*"), "attention"),
    **dict.fromkeys(("linear_attention", "mamba", "conv", "recurrent", "M"), "recurrent"),
    **dict.fromkeys(("mlp", "moe", "-", "E"), "mlp"),
    "hybrid": "hybrid",
}
"""What lists call a layer, and letters of patterns (Nemotron-H).

``hybrid`` is a state space beside attention that layers share (Zamba2).
"""


def mixers(config: ModelConfig) -> tuple[list[str | None], str] | None:
    """Return the mixer of each layer and the key that says so; None where none is known.

    Mixers are ``attention``, ``recurrent``, ``hybrid`` and ``mlp``.
    """
    _, level = read_levels(config)[-1]
    count = layer_count(config)
    for key in _LISTS:
        kinds = level.get(key)
        if kinds is None and count:
            kinds = assumed_layers(level, key, count)
        if isinstance(kinds, list | str) and kinds:
            return [_MIXERS.get(kind) if isinstance(kind, str) else None for kind in kinds], key
    period, offset = known_number(config, "attn_layer_period"), known_number(config, "attn_layer_offset")
    if not period or offset is None or not count:
        return None
    return ["attention" if layer % period == offset else "recurrent" for layer in range(count)], "attn_layer_offset"
