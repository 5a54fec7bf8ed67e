"""The table of kinds of changes: a name, and what is done to a checkpoint; whether that hurts is for the engine to say."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from field_model import Model

Change: TypeAlias = Callable[[Model, Random], object]
KINDS: Final[dict[str, Change]] = {}


def kind(change: Change) -> Change:
    """Enter a change under its function's name."""
    return add(change.__name__.strip("_").replace("_", " "), change)


def add(name: str, change: Change) -> Change:
    """Enter a change."""
    assert name not in KINDS, name
    KINDS[name] = change
    return change


def add_as(name: str) -> Callable[[Change], Change]:
    """Enter a change under a name."""
    return lambda change: add(name, change)
