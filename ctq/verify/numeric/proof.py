"""The numeric proof: every tensor of a checkpoint against the reference, on all cores and in bounded memory."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ctq import __version__, events
from ctq.errors import CheckpointError
from ctq.kernels.stats import CompareStats
from ctq.quantize.provenance import is_recorded_source, read_record
from ctq.verify.codes import CONFIG_CHANGED, NO_RECORD, OTHER_SOURCE, OTHER_VERSION
from ctq.verify.numeric.blocks import ROW_MULTIPLE
from ctq.verify.numeric.compare import compare_rows, worst_rows
from ctq.verify.numeric.dense import compare_bytes, compare_rounded, is_rounded, same_form
from ctq.verify.numeric.judgement import is_low, judge_weights
from ctq.verify.numeric.own_plan import OwnPlan, own_plan
from ctq.verify.numeric.pairs import Pairs, QuantizedPair, pair_tensors
from ctq.verify.numeric.recompute import Recomputed, recompute_rows
from ctq.verify.numeric.result import Difference, WeightsReport, WorstRow
from ctq.verify.numeric.shapes import false_shapes
from ctq.verify.numeric.units import Piece, ranges, run_pieces
from ctq.verify.tensor_bytes import TensorBytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.findings import Finding
    from ctq.inspect.facts.facts import Facts
    from ctq.verify.request import Limits

_JOB = "comparing with the reference"
_WORST_MODULES = 3
"""Modules too far from their original whose rows are looked at one by one."""


@dataclass(frozen=True, slots=True)
class _Files:
    """The two checkpoints, open."""

    result: TensorBytes
    reference: TensorBytes


@dataclass(slots=True)
class _Found:
    """What the threads brought back so far."""

    modules: dict[str, CompareStats] = field(default_factory=lambda: defaultdict(CompareStats))
    differences: list[Difference] = field(default_factory=list)

    def add(self, item: Recomputed | Difference | None) -> None:
        if isinstance(item, Recomputed):
            self.modules[item.module] += item.stats
            self.differences += item.differences
        elif item is not None:
            self.differences.append(item)


def prove_weights(
    facts: Facts,
    reference: Checkpoint,
    *,
    limits: Limits,
    workers: int = 2,
    on_event: events.OnEvent = events.ignore,
) -> tuple[WeightsReport, tuple[Finding, ...]]:
    """Compare every tensor with the reference's; results of ctq are computed again from it, byte for byte.

    Raises:
        CheckpointError: a file cannot be read.

    """
    began = time.monotonic()
    pairs = pair_tensors(facts, reference)
    own, findings = _own(facts, reference)
    with TensorBytes(facts.checkpoint) as result, TensorBytes(reference) as original:
        files = _Files(result, original)
        pieces = [*(_own_pieces(own, files) if own else _pieces(pairs, files)), *_dense_pieces(pairs, files)]
        found = _run(pieces, workers=workers, on_event=on_event)
        found.differences += _strays(pairs, own)
        found.modules |= _actual(pairs, found, files) if own else {}
        rows = _rows(pairs, found, files, limits)
    report = WeightsReport(
        reference=reference.label,
        modules=dict(found.modules),
        dense=len(pairs.dense),
        recomputed=own is not None,
        differences=tuple(_first_of_each(found.differences)),
        worst_rows=tuple(rows),
        missing=pairs.missing,
        unmatched=pairs.unmatched,
        unreadable=pairs.unreadable,
        calibrated=pairs.calibrated,
        converted=tuple(pair.tensor.name for pair in pairs.dense if not same_form(pair) and is_rounded(pair)),
        nbytes=sum(piece.nbytes for piece in pieces),
        seconds=time.monotonic() - began,
    )
    return judge_weights(report, pairs, limits, (*findings, *(() if own else false_shapes(pairs, facts.checkpoint))))


def _run(pieces: list[Piece[Recomputed | Difference | None]], *, workers: int, on_event: events.OnEvent) -> _Found:
    on_event(events.Started(_JOB, sum(piece.nbytes for piece in pieces)))
    found = _Found()
    for item in run_pieces(pieces, workers=workers, on_event=on_event):
        found.add(item)
    on_event(events.Finished(_JOB))
    return found


def _own(facts: Facts, reference: Checkpoint) -> tuple[OwnPlan | None, tuple[Finding, ...]]:
    """Return the plan of the run that made the checkpoint, where it is a result of ctq and the reference its source."""
    record = read_record(facts.checkpoint)
    if record is None:
        return None, ()
    if not is_recorded_source(record, reference):
        message = f"{reference.label} is not the source on record ({record['source'].get('model')})"
        return None, (OTHER_SOURCE.at("ctq.json", message),)
    if record["ctq_version"] != __version__:
        message = f"made by ctq {record['ctq_version']}, whose arithmetic may differ from that of {__version__}"
        return None, (OTHER_VERSION.at("ctq.json", message),)
    try:
        plan = own_plan(record, reference)
    except CheckpointError as error:
        return None, (NO_RECORD.at("ctq.json", error.message),)
    if plan.quantization_config != facts.config.quantization:
        message = "the quantization config is not the one that the recipe on record gives"
        return plan, (CONFIG_CHANGED.at("config.json: quantization_config", message),)
    return plan, ()


def _pieces(pairs: Pairs, files: _Files) -> Iterator[Piece[Recomputed | Difference | None]]:
    for pair in pairs.quantized:
        for start, stop in ranges(pair.rows, pair.nbytes, multiple=ROW_MULTIPLE):
            call = partial(_compare, pair, files, start, stop)
            yield Piece(call, (stop - start) * pair.row_bytes, pair.reference.name)


def _compare(pair: QuantizedPair, files: _Files, start: int, stop: int) -> Recomputed:
    stats = compare_rows(pair, files.result, files.reference, start=start, stop=stop)
    return Recomputed(pair.module, stats, ())


def _own_pieces(own: OwnPlan, files: _Files) -> Iterator[Piece[Recomputed | Difference | None]]:
    tensors = files.result.checkpoint.tensors
    for task in own.tasks:
        wrong = own.ill_formed(task, tensors)
        if wrong:
            yield Piece(partial(Difference, wrong, 0), 0, task.tensor)
            continue
        for start, stop in ranges(task.rows, task.nbytes, multiple=ROW_MULTIPLE):
            call = partial(recompute_rows, task, files.result, files.reference, start=start, stop=stop)
            yield Piece(call, (stop - start) * task.row_bytes, task.tensor)


def _dense_pieces(pairs: Pairs, files: _Files) -> Iterator[Piece[Recomputed | Difference | None]]:
    for pair in pairs.dense:
        name, nbytes = pair.tensor.name, pair.tensor.nbytes
        if same_form(pair):
            for start, stop in ranges(nbytes, nbytes):
                call = partial(compare_bytes, pair, files.result, files.reference, start=start, stop=stop)
                yield Piece(call, stop - start, name)
        elif is_rounded(pair):
            yield Piece(partial(compare_rounded, pair, files.result, files.reference), nbytes, name)
        else:
            yield Piece(partial(Difference, name, 0), 0, name)


def _strays(pairs: Pairs, own: OwnPlan | None) -> list[Difference]:
    """Name the weights that are quantized although the recipe on record leaves them dense."""
    if own is None:
        return []
    planned = {task.module for task in own.tasks}
    return [Difference(f"{pair.module}.weight", 0) for pair in pairs.quantized if pair.module not in planned]


def _actual(pairs: Pairs, found: _Found, files: _Files) -> Mapping[str, CompareStats]:
    """Return the sums of what the files hold, where that is not what was computed again."""
    changed = {difference.tensor.rpartition(".")[0] for difference in found.differences}
    return {
        pair.module: compare_rows(pair, files.result, files.reference, start=0, stop=pair.rows)
        for pair in pairs.quantized
        if pair.module in changed
    }


def _rows(pairs: Pairs, found: _Found, files: _Files, limits: Limits) -> list[WorstRow]:
    low = [pair for pair in pairs.quantized if is_low(pair, found.modules.get(pair.module), limits)]
    low.sort(key=lambda pair: found.modules[pair.module].sqnr_db)
    return [row for pair in low[:_WORST_MODULES] for row in worst_rows(pair, files.result, files.reference)]


def _first_of_each(differences: list[Difference]) -> Iterator[Difference]:
    first: dict[str, Difference] = {}
    for difference in sorted(differences):
        first.setdefault(difference.tensor, difference)
    yield from first.values()
