"""Which kinds of layers transformers' config classes assume where a config does not list them; vLLM reads configs by them too.

The data is made by ``benchmarks/learn/config_layers.py``: what a list begins with, what repeats, and keys that change it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.configs.fields import assumed_by, reads_itself
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping

_PATTERN = "hybrid_override_pattern"
"""A letter to each layer, which older configs have in place of a list (Nemotron-H)."""


def assumed_layers(level: Mapping[str, Any], key: str, count: int) -> list[str] | None:
    """Return the list ``key`` that the class of a config's level makes of ``count`` layers; None where it is stated or unknown."""
    known = read_data("config_layers")["models"].get(str(level.get("model_type")), {}).get(key)
    kind = level.get("model_type")
    if known is None or level.get(key) is not None or level.get(_PATTERN) is not None or reads_itself(str(kind)):
        return None
    first, then, changed_by = known
    if any(level.get(other) not in (None, assumed_by(kind, other)) for other in changed_by):
        return None
    return (first + then * count)[:count] if then else list(first)
