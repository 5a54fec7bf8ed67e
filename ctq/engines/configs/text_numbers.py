"""Numbers of a text model's config that no model is built of, whatever its class takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.checkpoint.config import dotted
from ctq.engines.configs.fields import fields_of, known_number, other_names
from ctq.engines.configs.read_levels import read_levels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_NEVER_ZERO = ("hidden_size", "num_hidden_layers", "vocab_size")
_WIDTHS = re.compile(r"head_dim|head_size|kv_channels|_v_dim|d_kv|mamba|linear_|lora_rank|attention_hidden_size")
"""Keys of models that make heads of other numbers, or that have other layers too."""
_NEEDED = ("hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size")


def nulled(config: ModelConfig) -> Iterator[Refused]:
    """Yield numbers that vLLM takes from the text model's config, that are null there, and that its class has no field for.

    Source: vLLM 0.32.0 config/model_arch.py, which is checked strictly.
    """
    path, level = read_levels(config)[-1]
    fields, _ = fields_of(level.get("model_type"))
    for key in _NEEDED if fields else ():
        if key not in fields and level.get(key, key) is None:
            yield dotted(path, key), "is null, where a number is needed"


def emptied(config: ModelConfig) -> Iterator[Refused]:
    """Yield numbers of the text model's config that are 0, and of which no model has none."""
    path, level = read_levels(config)[-1]
    yield from ((dotted(path, key), "is 0") for key in _NEVER_ZERO if level.get(key) == 0)


def undivided(config: ModelConfig) -> Iterator[Refused]:
    """Yield a number of heads that does not divide the hidden size, where that alone makes the width of a head.

    vLLM asserts that it does, or reads a part of each weight (``model_executor/models/opt.py``).
    """
    path, level = read_levels(config)[-1]
    fields, _ = fields_of(level.get("model_type"))
    names = other_names(level.get("model_type"), "num_attention_heads")
    key = next((name for name in names if name in level), names[-1])
    if not fields.keys() & set(names) or any(_WIDTHS.search(name) for name in (*fields, *level)):
        return
    hidden, heads = known_number(config, "hidden_size"), known_number(config, "num_attention_heads")
    if hidden and heads and hidden % heads:
        yield dotted(path, key), f"of {heads} does not divide the hidden size of {hidden}"


def rotated_too_far(config: ModelConfig) -> Iterator[Refused]:
    """Yield that more of a head is rotated than it is wide.

    Source: vLLM 0.32.0 ``model_executor/layers/rotary_embedding/__init__.py:70``.
    """
    rotated, hidden, heads = (known_number(config, key) for key in ("rotary_dim", "hidden_size", "num_attention_heads"))
    width = known_number(config, "head_dim") or (hidden // heads if hidden and heads else None)
    if rotated and width and rotated > width:
        yield "rotary_dim", f"of {rotated} is wider than a head of {width}"
