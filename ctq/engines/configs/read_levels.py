"""The levels of a config as they are read: a wrapper's config class may read what lies inside by a class of its own.

Such a class gives a text model's config the type that it stands for, whatever type is stated in there (Kimi-VL: DeepSeek V2's), or
where none is. The data is made by ``benchmarks/learn/config_classes.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig

_TYPE = "model_type"


def read_levels(config: ModelConfig) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the text levels of a config, each with the ``model_type`` that it is read as in place of what it states."""
    types: Mapping[str, Mapping[str, Any]] = read_data("config_classes")["types"]
    found: dict[str, Mapping[str, Any]] = {}
    for path, level in config.text_levels:
        above, _, key = path.rpartition(".")
        wrapper = found[above].get(_TYPE) if path and above in found else None
        known = types.get(wrapper, {}).get("inside", {}).get(key) if isinstance(wrapper, str) else None
        found[path] = level if known is None else _read_as(level, *known)
    return list(found.items())


def inner_architecture(config: ModelConfig) -> str | None:
    """Return the first architecture that a text model's config inside names, else the first model type that one is read as."""
    inside = [level for path, level in read_levels(config) if path]
    named = [
        level["architectures"][0]
        for level in inside
        if isinstance(level.get("architectures"), list) and level["architectures"]
    ]
    typed = [level[_TYPE] for level in inside if level.get(_TYPE)]
    return next((name for name in [*named, *typed] if isinstance(name, str)), None)


def _read_as(level: Mapping[str, Any], usual: str | None, is_fixed: bool) -> Mapping[str, Any]:  # noqa: FBT001  # of a row of data
    kind = usual if is_fixed else level.get(_TYPE, usual)
    return level if kind in (None, level.get(_TYPE)) else {**level, _TYPE: kind}
