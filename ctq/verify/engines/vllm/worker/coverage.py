"""Count which elements of a parameter were written, as a union of regions, so that nothing written twice counts twice."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .recorder import Region, Write

Interval = tuple[int, int]


def intervals(offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> Iterator[Interval]:
    """Split a strided region into runs of adjacent elements, as half-open intervals."""
    dims = sorted(
        ((step, size) for size, step in zip(shape, stride, strict=True) if size != 1 and step != 0), reverse=True
    )
    if any(size == 0 for size in shape):
        return
    run = 1
    while dims and dims[-1][0] == run:
        run *= dims.pop()[1]
    for starts in itertools.product(*(range(0, step * size, step) for step, size in dims)):
        start = offset + sum(starts)
        yield start, start + run


def union(regions: Iterable[Interval]) -> int:
    """Count the elements that at least one interval covers."""
    total, reached = 0, 0
    for start, end in sorted(regions):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def covered(parts: Iterable[Write | Region], *, start: int, end: int) -> int:
    """Count the elements of ``[start, end)`` of a storage that any of the parts reaches."""
    regions = {(part.offset, part.shape, part.stride) for part in parts}
    if any(shape and offset == start and _is_whole(shape, stride, end - start) for offset, shape, stride in regions):
        return end - start
    pieces = (piece for region in regions for piece in intervals(*region))
    return union((max(low, start), min(high, end)) for low, high in pieces if low < end and high > start)


def _is_whole(shape: tuple[int, ...], stride: tuple[int, ...], count: int) -> bool:
    size = 1
    for length, step in sorted(zip(shape, stride, strict=True), key=lambda pair: pair[1]):
        if length != 1 and step != size:
            return False
        size *= length
    return size == count
