"""The ways in which vLLM's model classes tie a head, as the reference data calls them, and what they do to its tensors. Pure."""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

ALWAYS_TIED = "always_tied"
EMBEDDING_AS_HEAD = "embed_as_head"
_OF_WRAPPER = "wrapper:"
"""What stands before a way in which the wrapper around a text model ties its head."""


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


@cache
def ways_of(column: str) -> frozenset[str]:
    """Return the ways that an entry of the reference data's ``tie`` column names; none where nothing is known."""
    return frozenset(column.replace(_OF_WRAPPER, "").split("+")) - {""}


def tie_when_tied(ways: AbstractSet[str]) -> Tie:
    """Return what becomes of the tensors of a tied head in a class that ties it in these ways."""
    skips = bool(ways & {"skip_prefixes", "load_skip"})
    if "module_alias" in ways:
        return Tie.ALIAS if skips else Tie.SHARED
    if skips:
        return Tie.DROPPED
    if ways & {"tie_weights", "weight_share", ALWAYS_TIED}:
        return Tie.SHARED
    return Tie.OWN if "ignored" in ways else Tie.UNKNOWN
