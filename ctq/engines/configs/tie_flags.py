"""Whether the head is tied, as the levels of a config state it and as their classes assume it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import TIE_KEY
from ctq.engines.configs.fields import fields_of
from ctq.engines.configs.read_levels import read_levels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig


def tie_levels(config: ModelConfig) -> list[tuple[bool | None, bool | None]]:
    """Return the tie flag that each level states and the one that its class assumes, from the top inwards."""
    assumed = _assumed(config)
    return [(config.tie_flags.get(path), assumed.get(path)) for path, _ in read_levels(config)]


def tie_flags(config: ModelConfig) -> Mapping[str, bool]:
    """Return the tie flags as engines read them: those that levels state, else what the classes of the levels assume.

    A class that assumes a tie at the top has it whatever a level below states.
    """
    stated, assumed = config.tie_flags, _assumed(config)
    if not stated:
        return {"": any(assumed.values())} if assumed else {}
    return {"": True, **stated} if assumed.get("") and "" not in stated else stated


def _assumed(config: ModelConfig) -> dict[str, bool]:
    """Return what the classes of the levels assume, by the path of the level; nothing of those that are not known."""
    flags = {path: fields_of(level.get("model_type"))[0].get(TIE_KEY) for path, level in read_levels(config)}
    return {path: flag for path, flag in flags.items() if isinstance(flag, bool)}
