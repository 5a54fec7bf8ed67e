"""A plan's tasks cut into units of work: independent, of bounded size, and the grain at which an interrupted run is resumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.checkpoint.weight_slice import rows_within
from ctq.quantize.tasks import CopyTask, Place, QuantizeTask
from ctq.recipe.packing import values_per_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.quantize.tasks import Task

UNIT_BYTES = 32 * 1024 * 1024
"""Source bytes of a unit: small enough that threads finish together, large enough that bookkeeping costs nothing."""
ROW_MULTIPLE = values_per_word(8)
"""Rows of a unit, and of the blocks in it, are a multiple of this: none shares a word of packed zero points with another."""


@dataclass(frozen=True, slots=True)
class RowUnit:
    """Rows ``[start, stop)`` of a quantized weight."""

    task: QuantizeTask
    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """Source bytes."""
        return self.task.row_bytes * (self.stop - self.start)


@dataclass(frozen=True, slots=True)
class CopyUnit:
    """A range of bytes that goes over as it is."""

    tensor: str
    source: Place
    target: Place

    @property
    def nbytes(self) -> int:
        """Bytes to copy."""
        return self.source.nbytes


Unit = RowUnit | CopyUnit


def units_of(tasks: Sequence[Task]) -> list[Unit]:
    """Cut ``tasks`` into units; the same tasks always give the same units in the same order."""
    return [unit for task in tasks for unit in (_copies(task) if isinstance(task, CopyTask) else _rows(task))]


def _rows(task: QuantizeTask) -> Iterator[RowUnit]:
    step = rows_within(UNIT_BYTES, task.row_bytes, multiple=ROW_MULTIPLE)
    for start in range(0, task.rows, step):
        yield RowUnit(task, start, min(start + step, task.rows))


def _copies(task: CopyTask) -> Iterator[CopyUnit]:
    for start in range(0, task.source.nbytes, UNIT_BYTES):
        size = min(UNIT_BYTES, task.source.nbytes - start)
        yield CopyUnit(
            task.tensor,
            Place(task.source.file, task.source.offset + start, size),
            Place(task.target.file, task.target.offset + start, size),
        )
