"""Results of ctq itself: every byte computed again from the original and compared, so that any changed one is found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ctq.checkpoint.values import RAW_TYPES, floats
from ctq.checkpoint.weight_slice import rows_within
from ctq.kernels.compare import compare_block
from ctq.kernels.quantize import BlockOutput, allocate_output, quantize_block
from ctq.kernels.stats import CompareStats
from ctq.quantize.rows import kernel_spec
from ctq.quantize.slices import RowReader
from ctq.recipe.packing import VALUES, offset
from ctq.verify.numeric.blocks import BLOCK_BYTES, ROW_MULTIPLE
from ctq.verify.numeric.decode import unpacked_rows
from ctq.verify.numeric.result import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ctq.kernels.stats import BlockStats
    from ctq.quantize.tasks import QuantizeTask
    from ctq.verify.tensor_bytes import TensorBytes

_HALF_STEP = 0.5


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The rows of one module: the sums over its weights, and the first different byte of each tensor that differs."""

    module: str
    stats: CompareStats
    differences: tuple[Difference, ...]


def recompute_rows(
    task: QuantizeTask, result: TensorBytes, reference: TensorBytes, *, start: int, stop: int
) -> Recomputed:
    """Quantize the rows ``[start, stop)`` again and compare every byte of what they become.

    Raises:
        CheckpointError: a file cannot be read.

    """
    spec = kernel_spec(task)
    step = rows_within(BLOCK_BYTES, task.row_bytes, multiple=ROW_MULTIPLE)
    block = np.empty((min(step, stop - start), task.columns), RAW_TYPES[task.dtype])
    reader = RowReader(task.weight, RAW_TYPES[task.dtype], partial(reference.read, task.tensor))
    stats = CompareStats()
    differences: dict[str, Difference] = {}
    for first in range(start, stop, step):
        rows = block[: min(step, stop - first)]
        reader.fill(rows, first)
        out = allocate_output(spec, len(rows), task.columns)
        stats += _stats(rows, task, out, quantize_block(rows, spec, out)).starting_at(first)
        for difference in _differences(task, out, result, first):
            differences.setdefault(difference.tensor, difference)
    return Recomputed(task.module, stats, tuple(differences.values()))


def _stats(rows: NDArray[Any], task: QuantizeTask, out: BlockOutput, found: BlockStats) -> CompareStats:
    if found.largest_error_steps <= _HALF_STEP:
        return CompareStats(found)
    # Searched scales clip the largest weights: how many, only a comparison tells.
    zero = out.zero_point
    if zero is not None and out.values.dtype == np.int32:
        bits = task.scheme.weights.num_bits
        zero = unpacked_rows(zero, bits, len(rows)).astype(np.int16) - offset(bits)
    scale = floats(out.scale, task.dtype)
    return compare_block(rows, kernel_spec(task).dtype, values=out.values, scale=scale, zero_point=zero)


def _differences(task: QuantizeTask, out: BlockOutput, result: TensorBytes, first: int) -> Iterator[Difference]:
    packed = task.scheme.is_packed
    yield from _difference(f"{task.module}.{VALUES[task.scheme.format]}", out.values, result, first)
    yield from _difference(f"{task.module}.weight_scale", out.scale, result, first)
    if out.zero_point is not None:
        per_word = kernel_spec(task).values_per_word
        yield from _difference(f"{task.module}.weight_zero_point", out.zero_point, result, first // per_word)
    if packed and first == 0:
        shape = np.array([[task.rows, task.columns]], np.int64)
        yield from _difference(f"{task.module}.weight_shape", shape, result, 0)


def _difference(name: str, expected: NDArray[Any], result: TensorBytes, row: int) -> Iterator[Difference]:
    """Yield the first byte of ``expected`` that the tensor has otherwise; its shape is known to be right."""
    if not expected.size:
        return
    wanted = np.ascontiguousarray(expected).reshape(-1).view(np.uint8)
    found = np.empty_like(wanted)
    offset = row * (expected.nbytes // len(expected))
    result.read(name, found.data, offset)
    if not np.array_equal(_wide(wanted), _wide(found)):
        yield Difference(name, offset + int(np.argmax(wanted != found)))


def _wide(data: NDArray[np.uint8]) -> NDArray[Any]:
    """View bytes as eight at a time where they divide: comparing them is several times as fast."""
    return data.view(np.uint64) if data.size % 8 == 0 else data
