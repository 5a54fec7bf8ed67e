"""Repeated layers folded into one name: ``model.layers.{0-31}.mlp.up_proj``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from ctq.recipe.template import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctq.inspect.modules.grouping import ModuleSet

_MOST_RANGES = 4
"""More than these are cut: the count beside the name says how many there are."""


def folded_name(modules: ModuleSet) -> str:
    """Return one name for all modules of a set: ``{0-3,5}`` where their numbers differ, the number where they agree."""
    columns = iter(zip(*modules.numbers, strict=True))
    words = [_folded(next(columns)) if word == NUMBER else word for word in modules.template.split(".")]
    return ".".join(words)


def counted_name(modules: ModuleSet) -> str:
    """Return the folded name and, for more than one module, how many there are."""
    return folded_name(modules) if modules.count == 1 else f"{folded_name(modules)} x{modules.count}"


def _folded(numbers: Iterable[int]) -> str:
    distinct = sorted(set(numbers))
    if len(distinct) == 1:
        return str(distinct[0])
    return "{" + ",".join(_ranges(distinct)) + "}"


def _ranges(numbers: list[int]) -> list[str]:
    ranges = []
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        ranges.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ranges if len(ranges) <= _MOST_RANGES else [*ranges[: _MOST_RANGES - 1], "...", ranges[-1]]
