"""The ways in which vLLM's model classes tie a head, as the reference data calls them, and what they do to its tensors. Pure."""

from __future__ import annotations

from enum import Enum, auto


class Tie(Enum):
    """What happens to the head."""

    OWN = auto()
    """Its own tensors are loaded."""
    ALIAS = auto()
    """It is the embedding itself; tensors of its own are dropped."""
    DROPPED = auto()
    """Tensors of its own are dropped; the parameters of a quantized head are never filled."""
    SHARED = auto()
    """Its parameter `weight` is the embedding's; other tensors of its own are loaded."""
    UNKNOWN = auto()


def tie_when_tied(known: str) -> Tie:
    """Return what becomes of the tensors of a tied head; ``known`` is the entry of the reference data's ``tie`` column."""
    ways = set(known.replace("wrapper:", "").split("+"))
    skips = bool(ways & {"skip_prefixes", "load_skip"})
    if "module_alias" in ways:
        return Tie.ALIAS if skips else Tie.SHARED
    if skips:
        return Tie.DROPPED
    if ways & {"tie_weights", "weight_share", "always_tied"}:
        return Tie.SHARED
    return Tie.OWN if "ignored" in ways else Tie.UNKNOWN
