"""Lists of layers by kind: which ones transformers' config classes assume and check; vLLM reads configs by them too.

What is assumed is data made by ``benchmarks/learn/config_layers.py``: what a list begins with, what repeats, keys that change it,
and the kind of the last layer where the class has it be one. The kinds that are known are made by ``config_fields.py`` there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import dotted
from ctq.engines.configs.fields import assumed_by, reads_itself, takes_field
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_PATTERN = "hybrid_override_pattern"
"""A letter to each layer, which older configs have in place of a list (Nemotron-H)."""
_KINDS = ("layer_types", "mlp_layer_types")


def assumed_layers(level: Mapping[str, Any], key: str, count: int) -> list[str] | None:
    """Return the list ``key`` that the class of a config's level makes of ``count`` layers; None where it is stated or unknown."""
    known = read_data("config_layers")["models"].get(str(level.get("model_type")), {}).get(key)
    kind = level.get("model_type")
    if known is None or level.get(key) is not None or level.get(_PATTERN) is not None or reads_itself(str(kind)):
        return None
    first, then, changed_by, *last = known
    if any(level.get(other) not in (None, assumed_by(kind, other)) for other in changed_by):
        return None
    end: list[str] = last[0] if last else []
    return [*(first + then * count)[: max(count - len(end), 0)], *end] if then else list(first)


def unknown_kinds(config: ModelConfig) -> Iterator[Refused]:
    """Yield lists of layers that hold a kind which transformers refuses, each with the last one."""
    known = read_data("config_fields")["kinds"]
    for path, level in read_levels(config) if not reads_itself(config.model_type) else ():
        kind = level.get("model_type")
        lists = [key for key in _KINDS if takes_field(kind, key) and isinstance(level.get(key), list)]
        if kind in known["others"] or _KINDS[0] not in lists:  # of feed-forward layers alone nothing is checked
            continue
        for key in lists:
            unknown = [entry for entry in level[key] if entry not in known[key]]
            if unknown:
                yield dotted(path, key), f"'{unknown[-1]}' is no kind of layer"


def checked_lists(model_type: object) -> tuple[str, ...]:
    """Return the lists of layers of which transformers checks that they are as long as there are layers, by model type."""
    lists = tuple(key for key in (*_KINDS, "layers_block_type") if takes_field(model_type, key))
    return lists if lists != _KINDS[1:] and model_type not in read_data("config_fields")["kinds"]["others"] else ()
