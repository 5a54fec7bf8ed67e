"""One thread's way through a weight's rows: read a block, quantize it in one pass, write what it becomes.

A block is read into a buffer that fits the core's cache, so that the kernel finds it there and the weight passes through memory
once; the buffers are the thread's own and are used again from block to block. Scales are kept until the unit ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ctq.checkpoint.reading import read_into
from ctq.checkpoint.values import RAW_TYPES
from ctq.checkpoint.weight_slice import rows_within
from ctq.errors import CheckpointError
from ctq.kernels.quantize import BlockOutput, quantize_block
from ctq.kernels.spec import KernelSpec, block_shape
from ctq.kernels.stats import BlockStats
from ctq.quantize.copying import write_fully
from ctq.quantize.paged_writer import PagedWriter
from ctq.quantize.slices import RowReader
from ctq.quantize.units import ROW_MULTIPLE
from ctq.recipe.packing import VALUES

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ctq.kernels.spec import SourceDtype
    from ctq.quantize.tasks import Place, QuantizeTask
    from ctq.quantize.units import RowUnit

BLOCK_BYTES = 2 * 1024 * 1024
"""Source bytes of a block: large enough that calls cost nothing beside the work, small enough for a core's caches."""


def quantize_unit(unit: RowUnit, *, source: int, targets: Mapping[str, int], stopped: threading.Event) -> BlockStats:
    """Read the unit's rows from the open file ``source``, write what they become to the open files ``targets``, return statistics.

    Raises:
        CheckpointError: a weight is not finite.
        OSError: reading or writing fails.

    """
    task = unit.task
    spec = kernel_spec(task)
    step = _rows_in_block(task, unit)
    block = np.empty((step, task.columns), RAW_TYPES[task.dtype])
    reader = RowReader(task.weight, RAW_TYPES[task.dtype], partial(_read_from, source, task.source.offset))
    values = _Values(spec, unit, step, targets)
    kept = _kept(spec, unit)
    stats = BlockStats()
    for start in range(unit.start, unit.stop, step):
        if stopped.is_set():
            return stats
        rows = block[: min(step, unit.stop - start)]
        reader.fill(rows, start)
        out = _part(values.room(len(rows)), kept, start - unit.start)
        found = quantize_block(rows, spec, out)
        if found.nonfinite:
            raise _not_finite(task, start, found)
        stats = stats + found
        values.took(len(rows))
    values.finish()
    _write_kept(kept, unit, targets)
    return stats


def _read_from(source: int, begin: int, buffer: memoryview, offset: int) -> None:
    read_into(source, buffer, begin + offset)


def kernel_spec(task: QuantizeTask) -> KernelSpec:
    """Return what the kernels are asked for a task."""
    weights = task.scheme.weights
    return KernelSpec(
        dtype=cast("SourceDtype", task.dtype),
        strategy="group" if weights.group_size else "channel",
        group_size=weights.group_size,
        symmetric=weights.symmetric,
        packed=task.scheme.is_packed,
        observer=task.observer,
        num_bits=weights.num_bits,
    )


def _rows_in_block(task: QuantizeTask, unit: RowUnit) -> int:
    wanted = rows_within(BLOCK_BYTES, task.row_bytes, multiple=ROW_MULTIPLE)
    return min(unit.stop - unit.start, wanted)


class _Values:
    """The rows of values of a unit on their way into the file."""

    def __init__(self, spec: KernelSpec, unit: RowUnit, step: int, targets: Mapping[str, int]) -> None:
        shape = block_shape(spec, 1, unit.task.columns).values
        self._dtype = np.dtype(RAW_TYPES[shape.dtype])
        self._words = shape.shape[1]
        self._row_bytes = self._words * self._dtype.itemsize
        place = unit.task.outputs[VALUES[unit.task.scheme.format]]
        self._writer = PagedWriter(
            targets[place.file],
            place.offset + unit.start * self._row_bytes,
            nbytes=(unit.stop - unit.start) * self._row_bytes,
            step=step * self._row_bytes,
        )

    def room(self, rows: int) -> NDArray[Any]:
        """Return the next rows, to be filled."""
        return self._writer.room(rows * self._row_bytes).view(self._dtype).reshape(rows, self._words)

    def took(self, rows: int) -> None:
        """Count the next rows as filled."""
        self._writer.took(rows * self._row_bytes)

    def finish(self) -> None:
        """Write what is left."""
        self._writer.finish()


@dataclass(frozen=True, slots=True)
class _Kept:
    """Scales, and zero points where there are any, of a whole unit; so many rows share an element of the zero points."""

    scale: NDArray[Any]
    zero_point: NDArray[Any] | None
    rows_per_zero: int


def _kept(spec: KernelSpec, unit: RowUnit) -> _Kept:
    shape = block_shape(spec, unit.stop - unit.start, unit.task.columns)
    zero = shape.zero_point
    return _Kept(
        np.empty(shape.scale.shape, RAW_TYPES[shape.scale.dtype]),
        None if zero is None else np.empty(zero.shape, RAW_TYPES[zero.dtype]),
        spec.values_per_word,
    )


def _part(values: NDArray[Any], kept: _Kept, start: int) -> BlockOutput:
    """Return the arrays of one block that begins at row ``start`` of its unit: values, and its own place in what is kept."""
    zero, rows = kept.zero_point, len(values)
    first, last = start // kept.rows_per_zero, -(-(start + rows) // kept.rows_per_zero)
    return BlockOutput(values, kept.scale[start : start + rows], None if zero is None else zero[first:last])


def _write_kept(kept: _Kept, unit: RowUnit, targets: Mapping[str, int]) -> None:
    outputs = unit.task.outputs
    _write(kept.scale, outputs["weight_scale"], unit.start, targets)
    if kept.zero_point is not None:
        _write(kept.zero_point, outputs["weight_zero_point"], unit.start // kept.rows_per_zero, targets)
    if "weight_shape" in outputs and unit.start == 0:
        _write(np.array([[unit.task.rows, unit.task.columns]], np.int64), outputs["weight_shape"], 0, targets)


def _write(array: NDArray[Any], place: Place, row: int, targets: Mapping[str, int]) -> None:
    """Write whole rows of one output tensor at the place of its row ``row``."""
    if array.size:
        write_fully(targets[place.file], array.data.cast("B"), place.offset + row * array.nbytes // len(array))


def _not_finite(task: QuantizeTask, start: int, found: BlockStats) -> CheckpointError:
    row, column = divmod(found.first_nonfinite or 0, task.columns)
    return CheckpointError(
        f"{task.source.file}: tensor '{task.tensor}' holds a weight that is not finite (row {start + row}, column {column})",
        hint="the checkpoint is damaged: fetch it again, or --ignore this layer",
    )
