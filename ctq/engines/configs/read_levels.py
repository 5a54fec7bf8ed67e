"""The levels of a config as they are read: a wrapper's config class may read what lies inside by a class of its own.

Such a class gives a text model's config the type that it stands for, whatever type is stated in there (Kimi-VL: DeepSeek V2's), or
where none is. The data is made by ``benchmarks/learn/config_classes.py``.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig

_TYPE = "model_type"


class Inside(NamedTuple):
    """How a wrapper's config class reads the config of a text model.

    By the ``usual`` type where it states none, which ``is_fixed`` where it is read as that whatever it states; ``names`` are words
    that the class takes for types.
    """

    usual: str | None
    is_fixed: bool
    names: Mapping[str, str] = MappingProxyType({})

    def reads_as(self, level: Mapping[str, Any]) -> object:
        """Return the model type that a level is read as."""
        kind = self.usual if self.is_fixed else level.get(_TYPE, self.usual)
        return self.names.get(kind, kind) if isinstance(kind, str) else kind


def inside_of(model_type: object) -> Mapping[str, Inside]:
    """Return how the class of a model type reads what lies inside, by key."""
    types: Mapping[str, Mapping[str, Any]] = read_data("config_classes")["types"]
    known = types.get(model_type, {}) if isinstance(model_type, str) else {}
    return {key: Inside(*row) for key, row in known.get("inside", {}).items()}


def read_levels(config: ModelConfig) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the text levels of a config, each with the ``model_type`` that it is read as in place of what it states."""
    found: dict[str, Mapping[str, Any]] = {}
    for path, level in config.text_levels:
        above, _, key = path.rpartition(".")
        wrapper = found[above].get(_TYPE) if path and above in found else None
        inside = inside_of(wrapper).get(key)
        kind = inside.reads_as(level) if inside is not None else None
        found[path] = level if kind in (None, level.get(_TYPE)) else {**level, _TYPE: kind}
    return list(found.items())


def inner_architecture(config: ModelConfig) -> str | None:
    """Return the first architecture that a text model's config inside names, else the first model type that one is read as.

    The type comes first where vLLM's class of the wrapper builds the same text model whatever architecture is named in there.
    """
    inside = [level for path, level in read_levels(config) if path]
    named = [
        level["architectures"][0]
        for level in inside
        if isinstance(level.get("architectures"), list) and level["architectures"]
    ]
    typed = [level[_TYPE] for level in inside if level.get(_TYPE)]
    has_one_text = config.architecture in read_data("borrowed_skeletons")["one_text"]
    names = [*typed, *named] if has_one_text else [*named, *typed]
    return next((name for name in names if isinstance(name, str)), None)
