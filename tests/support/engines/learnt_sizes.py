"""Sizes that were learnt of an architecture, held against what transformers gives another config of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from variants import outline_of, overrides

from ctq.checkpoint.config import ModelConfig
from ctq.engines.skeletons.dimensions import dimension
from ctq.engines.skeletons.find import skeleton_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from family import Family
    from variants import Outline

_NUMBER: Final = re.compile(r"(?<=\.)\d+(?=\.|$)")


@dataclass(frozen=True, slots=True)
class Odd:
    """A dimension that is not what was learnt: of which tensor, by its template, and what was learnt."""

    tensor: str
    axis: int
    expression: str


def changed(family: Family, changes: Mapping[str, Any]) -> Outline | None:
    """Outline a family with fields of its text model's config changed."""
    paths = [(f"{family.text}.{key}" if family.text else key, value) for key, value in changes.items()]
    return outline_of(family, overrides(family, paths))


def odd_sizes(family: Family, outline: Outline) -> Iterator[Odd]:
    """Yield the dimensions of an outline that are not what was learnt of the architecture."""
    skeleton, config = skeleton_named(family.architecture), ModelConfig(outline.config)
    for name, shape in outline.shapes.items():
        tensor = _NUMBER.sub("#", name)
        slot = skeleton.tensors.get(tensor)
        sizes = slot.dimensions if slot is not None and slot.dimensions is not None else ()
        for axis, (expression, found) in enumerate(zip(sizes, shape, strict=False)):
            if expression and dimension(expression, config, skeleton.computed) not in (None, found):
                yield Odd(tensor, axis, expression)
