"""What transformers' config classes take of a wrapper's towers, which vLLM reads their configs by, and what they assume.

Types and words are checked strictly; what is missing has the class's default.
The data is made by ``benchmarks/learn/tower_fields.py`` from transformers 5.19.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import dotted
from ctq.engines.configs.field_types import wanted_types
from ctq.engines.configs.fields import reads_itself
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Tower:
    """The config of a tower: its dotted path, the model type that it is read as (None: there is none), and what it holds."""

    path: str
    model_type: str | None
    level: Mapping[str, Any]


def towers_of(config: ModelConfig) -> Iterator[Tower]:
    """Yield the configs of a wrapper's towers as its class reads them; none of model types that are not known."""
    inside = read_data("tower_fields")["inside"]
    for path, above in read_levels(config) if not reads_itself(config.model_type) else ():
        wrapper = above.get("model_type")
        for key, (usual, fixed) in inside.get(wrapper, {}).items() if isinstance(wrapper, str) else ():
            level = above.get(key)
            if isinstance(level, dict):
                kind = usual if fixed else level.get("model_type", usual)
                known = kind if isinstance(kind, str) else None
                yield Tower(path=dotted(path, key), model_type=known, level=level)


def refused_by_tower_classes(config: ModelConfig) -> Iterator[Refused]:
    """Yield each key of a tower, by dotted path, whose value its config class refuses, with the reason."""
    data = read_data("tower_fields")
    for tower in towers_of(config):
        fields, types, *_ = data["types"].get(tower.model_type, [{}, {}])
        for key in sorted(fields.keys() & tower.level.keys()):
            why = wanted_types(types.get(key, data["fields"][key]), tower.level[key])
            if why is not None:
                yield f"{tower.path}.{key}", why
        width, turned = tower.level.get("head_dim"), tower.level.get("rope_parameters")
        if type(width) is int and width % 2 and isinstance(turned, dict) and "partial_rotary_factor" not in turned:
            yield f"{tower.path}.head_dim", f"of {width} is odd, which no rotary embedding takes"
        yield from _unknown_words(tower.path, tower.model_type, tower.level)
    if not reads_itself(config.model_type):
        for path, level in read_levels(config):
            yield from _unknown_words(path, level.get("model_type"), level)


def _unknown_words(path: str, model_type: object, level: Mapping[str, Any]) -> Iterator[Refused]:
    words = read_data("tower_fields")["words"].get(model_type, {}) if isinstance(model_type, str) else {}
    for key in sorted(words.keys() & level.keys()):
        if level[key] not in words[key]:
            taken = ", ".join(map(str, words[key]))
            yield dotted(path, key), f"takes {taken}, not {level[key]!r}"


def has_known_type(tower: Tower) -> bool:
    """Tell a tower that is of a model type that transformers has."""
    return tower.model_type in all_model_types()


@lru_cache(maxsize=1)
def all_model_types() -> frozenset[str]:
    """Return every model type that transformers has, those of towers among them."""
    return frozenset(read_data("tower_fields")["known"])


def tower_fields(config: ModelConfig, path: str) -> tuple[Mapping[str, Any], list[list[str]]]:
    """Return the fields of the tower's class at a path with their defaults, and the names of those that have several."""
    for tower in towers_of(config):
        if tower.path == path:
            fields, _, *names = read_data("tower_fields")["types"].get(tower.model_type, [{}, {}])
            return fields, names[0] if names else []
    return {}, []
