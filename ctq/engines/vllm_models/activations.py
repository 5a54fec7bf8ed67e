"""Which activation functions vLLM takes under which key of a config: one class takes `silu` alone, others what a registry has.

The data is made by ``benchmarks/learn/activations.py`` from loads by vLLM 0.32.0; of other architectures it is only known which
names any engine has. The registries are read in lower case (vLLM 0.32.0 layers/activation.py:831), transformers' names as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import dotted
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import read_data
from ctq.engines.vllm_models.borrowed import borrowed_from
from ctq.engines.vllm_models.known_names import activations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_KEYS = ("mlp_hidden_act", "hidden_act")
"""NemotronH reads the first, whatever the second says."""
_MOST_NAMED = 6


def refused_activations(config: ModelConfig) -> Iterator[Refused]:
    """Yield each key, by dotted path, whose function is not taken, with the reason."""
    table = read_data("activations")["architectures"]
    own, text = (table.get(name or "") for name in (config.architecture, borrowed_from(config)))
    if own is None and text is None:
        yield from _unknown_to_all(config)
        return
    for key, way in {**(own or {}), **(text or {})}.items():
        path, value = next(
            ((path, level[key]) for path, level in reversed(read_levels(config)) if key in level), ("", None)
        )
        if isinstance(value, str) and not takes(way, value):
            yield dotted(path, key), f"'{value}' is not taken by vLLM's class, which has {named(way)}"


def takes(way: str | Sequence[str], value: str) -> bool:
    """Tell whether a set of functions, by its name or as a list, has one."""
    if way == "any":
        return True
    names = _names(way)
    return value in names or (way in ("plain", "gated") and value.lower() in names)


def _names(way: str | Sequence[str]) -> Sequence[str]:
    sets: Mapping[str, Sequence[str]] = read_data("activations")["sets"]
    return sets[way] if isinstance(way, str) else way


def named(way: str | Sequence[str]) -> str:
    """Return the first names of a set of functions."""
    names = _names(way)
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")


def _unknown_to_all(config: ModelConfig) -> Iterator[Refused]:
    for path, level in read_levels(config):
        key = next((key for key in _KEYS if key in level), "")
        value = level.get(key)
        if isinstance(value, str) and value.lower() not in activations():
            yield dotted(path, key), f"'{value}' is no activation that engines have"
