"""Results of ctq itself: every byte computed again from the original and compared, so that any changed one is found.

A result is known by its provenance record; the recipe in it and the reference give the plan of the run that made it, and that plan
says what every tensor has to hold, wherever in the files it lies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ctq.checkpoint.shards import DEFAULT_SHARD_SIZE, parse_size
from ctq.checkpoint.weight_slice import rows_within
from ctq.errors import CheckpointError, CtqError, PlanError
from ctq.quantize.kernels.compare import compare_block
from ctq.quantize.kernels.quantize import NUMPY_TYPES, BlockOutput, allocate_output, quantize_block
from ctq.quantize.kernels.stats import CompareStats
from ctq.quantize.plan import build_plan
from ctq.quantize.provenance import RECORD_VERSION, source_files
from ctq.quantize.rows import kernel_spec
from ctq.quantize.side_files import PROVENANCE_NAME
from ctq.quantize.slices import RowReader
from ctq.quantize.tasks import QuantizeTask, output_specs
from ctq.recipe.packing import VALUES, offset
from ctq.verify.numeric.blocks import BLOCK_BYTES, ROW_MULTIPLE
from ctq.verify.numeric.compare import stats_of
from ctq.verify.numeric.decode import floats, unpacked_rows
from ctq.verify.numeric.result import Difference, WeightStats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.header import TensorInfo
    from ctq.quantize.kernels.stats import BlockStats
    from ctq.verify.tensor_bytes import TensorBytes

_KEYS = {"ctq_version", "source", "recipe", "lm_head"}
_LARGEST_RECORD = 64 * 1024 * 1024
"""Bytes of a record that is read; ours have a line or two for each shard."""
_HALF_STEP = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPlan:
    """What ctq would write for the reference today: the weights to quantize, and the config that says so."""

    tasks: tuple[QuantizeTask, ...]
    quantization_config: Mapping[str, Any]

    def ill_formed(self, task: QuantizeTask, tensors: Mapping[str, TensorInfo]) -> str | None:
        """Return the first tensor of a weight that is not there, or has another dtype or shape than it has to have."""
        for spec in output_specs(task.module, task.dtype, (task.rows, task.columns), task.scheme):
            found = tensors.get(spec.name)
            if found is None or (found.dtype, found.shape) != (spec.dtype, spec.shape):
                return spec.name
        return None


def read_record(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return the provenance record of a result of ctq, or None where there is none that can be read."""
    if not 0 < checkpoint.source.files.get(PROVENANCE_NAME, 0) <= _LARGEST_RECORD:
        return None
    try:
        record = json.loads(checkpoint.source.read(PROVENANCE_NAME))
    except (ValueError, RecursionError):
        return None
    known = isinstance(record, dict) and record.get("record_version") == RECORD_VERSION
    known = (
        known
        and record.keys() >= _KEYS
        and all(isinstance(record[key], dict) for key in ("source", "recipe", "lm_head"))
    )
    return record if known else None


def is_recorded_source(record: dict[str, Any], reference: Checkpoint) -> bool:
    """Tell whether the reference has the very files, by size and header, that the record names as its source."""
    return bool(record["source"].get("files") == source_files(reference))


def own_plan(record: dict[str, Any], reference: Checkpoint) -> OwnPlan:
    """Plan again the run that the record describes.

    Raises:
        CheckpointError: the record's recipe cannot be read, or does not fit the reference.

    """
    from ctq.recipe.recipe_file import recipe_from_json

    try:
        recipe = recipe_from_json(record["recipe"], origin=PROVENANCE_NAME)
        # A target that names the head decides for it without `lm_head` saying so: the record tells the outcome.
        recipe = replace(recipe, lm_head=bool(record["lm_head"]["quantized"]))
        size = parse_size(DEFAULT_SHARD_SIZE)
        plan = build_plan(reference, recipe, max_shard_size=size, allow_unsupported_head=True)
    except PlanError as error:
        raise CheckpointError(
            f"{PROVENANCE_NAME}: its recipe does not fit the reference: {error.problems[0].message}"
        ) from error
    except (CtqError, KeyError, TypeError) as error:
        raise CheckpointError(f"{PROVENANCE_NAME}: not a record that can be followed: {error}") from error
    tasks = tuple(task for task in plan.tasks if isinstance(task, QuantizeTask))
    return OwnPlan(tasks=tasks, quantization_config=plan.quantization_config)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The rows of one module: the sums over its weights, and the first different byte of each tensor that differs."""

    module: str
    stats: WeightStats
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
    block = np.empty((min(step, stop - start), task.columns), NUMPY_TYPES[task.dtype])
    reader = RowReader(task.weight, NUMPY_TYPES[task.dtype], partial(reference.read, task.tensor))
    stats = WeightStats()
    differences: dict[str, Difference] = {}
    for first in range(start, stop, step):
        rows = block[: min(step, stop - first)]
        reader.fill(rows, first)
        out = allocate_output(spec, len(rows), task.columns)
        stats += _stats(rows, task, out, quantize_block(rows, spec, out))
        for difference in _differences(task, out, result, first):
            differences.setdefault(difference.tensor, difference)
    return Recomputed(task.module, stats, tuple(differences.values()))


def _stats(rows: NDArray[Any], task: QuantizeTask, out: BlockOutput, found: BlockStats) -> WeightStats:
    if found.largest_error_steps <= _HALF_STEP:
        return stats_of(CompareStats(found))
    # Searched scales clip the largest weights: how many, only a comparison tells.
    zero = out.zero_point
    if zero is not None and out.values.dtype == np.int32:
        bits = task.scheme.weights.num_bits
        zero = unpacked_rows(zero, bits, len(rows)).astype(np.int16) - offset(bits)
    scale = floats(out.scale, task.dtype)
    return stats_of(compare_block(rows, kernel_spec(task).dtype, values=out.values, scale=scale, zero_point=zero))


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
