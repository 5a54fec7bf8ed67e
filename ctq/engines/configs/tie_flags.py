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
    assumed_flags = (fields_of(level.get("model_type"))[0].get(TIE_KEY) for _, level in read_levels(config))
    return [
        (config.tie_flags.get(path), flag if isinstance(flag, bool) else None)
        for (path, _), flag in zip(read_levels(config), assumed_flags, strict=True)
    ]


def tie_flags(config: ModelConfig) -> Mapping[str, bool]:
    """Return the tie flags as engines read them: those that levels state, else what the classes of the levels assume.

    A class that assumes a tie at the top has it whatever a level below states.
    """
    stated = config.tie_flags
    flags = {path: fields_of(level.get("model_type"))[0].get(TIE_KEY) for path, level in read_levels(config)}
    known = {path: flag for path, flag in flags.items() if isinstance(flag, bool)}
    if not stated:
        return {"": any(known.values())} if known else {}
    return {"": True, **stated} if known.get("") and "" not in stated else stated
