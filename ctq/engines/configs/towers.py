"""What stands beside a wrapper's text model: towers of images or sounds with configs of their own, and lists of layers in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctq.engines.configs.tower_fields import tower_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig

_LENGTH = ".#"
_LAST_USED = "vision_feature_layer"
"""The layer whose features wrappers take, counted from the end: those behind it vLLM does not build."""
_LAST_DROPPED = "drop_vision_last_layer"
MOST_LAYERS = 10_000
"""Layers that are looked for: a config that counts more is wrong, and the first that the files lack say so."""


@dataclass(frozen=True, slots=True)
class TowerList:
    """A list of layers beside the text model: where the config counts them, and what vLLM does with one more or one less."""

    count: str
    refuses: bool
    misses: bool


def are_known(towers: Mapping[str, str | None], config: ModelConfig) -> bool:
    """Tell whether a config's towers are of the model types that were learnt; one that it does not name is its class's own."""
    kinds = ((kind, tower_value(config, path)) for path, kind in towers.items())
    return all(
        kind is None or not isinstance(level, dict) or level.get("model_type", kind) == kind for kind, level in kinds
    )


def tower_value(config: ModelConfig, path: str) -> Any:  # noqa: ANN401 - whatever a JSON file holds
    """Return what a config states at a dotted path; None where it does not."""
    level: Any = config.raw
    for key in path.split("."):
        level = level.get(key) if isinstance(level, dict) else None
    return level


def tower_number(config: ModelConfig, path: str) -> int | None:
    """Return the number that a config states at a dotted path, or at two of them, divided; the length of a list with `.#`."""
    if path.endswith(_LENGTH):
        entries = tower_value(config, path.removesuffix(_LENGTH))
        return len(entries) if isinstance(entries, list) else None
    one, divided, other = path.partition("/")
    if divided:
        sizes = tower_number(config, one), tower_number(config, other)
        return sizes[0] // sizes[1] if sizes[0] is not None and sizes[1] else None
    value = tower_value(config, path)
    return value if type(value) is int else _other_number(config, path)


def _other_number(config: ModelConfig, path: str) -> int | None:
    """Return a number that a config states by another name, or that the tower's class assumes where it states none."""
    tower, _, key = path.rpartition(".")
    fields, aliases = tower_fields(config, tower)
    level = tower_value(config, tower) if tower else None
    names = next((names for names in aliases if key in names), [key])
    stated = [level[name] for name in names if name in level] if isinstance(level, dict) else [None]
    value = stated[0] if stated else fields.get(key)
    return value if type(value) is int else None


def layers_needed(layers: TowerList, config: ModelConfig) -> range | None:
    """Return the layers of a tower's list that vLLM misses where the files lack them; None where that is not known."""
    count, last = tower_number(config, layers.count) if layers.misses else None, config.raw.get(_LAST_USED, -1)
    if count is None or type(last) is not int or last >= 0:
        return None
    return range(min(count + last + 1 - (config.raw.get(_LAST_DROPPED) is True), MOST_LAYERS))


def is_switched_on(switch: tuple[str, bool] | None, config: ModelConfig) -> bool:
    """Tell a tensor that no switch of a config takes away, or one whose switch is stated as it needs it."""
    return switch is None or tower_value(config, switch[0]) is switch[1]
