"""From numbers to findings: what the comparison with the reference proves, what it refutes, what it leaves open. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.findings import named
from ctq.verify import codes
from ctq.verify.numeric.result import NAMED
from ctq.verify.numeric.rows import far_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.findings import Finding
    from ctq.kernels.stats import CompareStats
    from ctq.verify.numeric.pairs import DensePair, Pairs, QuantizedPair
    from ctq.verify.numeric.result import Difference, WeightsReport
    from ctq.verify.request import Limits

DEFAULT_MIN_SQNR = {("int", 8): 30.0, ("packed", 8): 30.0, ("packed", 4): 12.0, ("float8", 8): 22.0}
"""Decibels that a sound weight keeps to, by form and bits: rounding to nearest gives about 41, 41, 20 and 31 on Gaussian rows."""
_BITS, _STRAY_STEPS = 8, 40.0
"""Single values are further off than any choice of scales puts them: a quarter clipped is 40 steps of 8 bits."""


def min_sqnr(pair: QuantizedPair, limits: Limits) -> float:
    """Return the decibels asked of one weight."""
    return DEFAULT_MIN_SQNR[pair.form, pair.bits] if limits.min_sqnr is None else limits.min_sqnr


def is_low(pair: QuantizedPair, stats: CompareStats | None, limits: Limits) -> bool:
    """Tell whether a weight is further from its original than allowed; what is no number is."""
    return stats is not None and not stats.sqnr_db >= min_sqnr(pair, limits)


def judge_weights(
    report: WeightsReport, pairs: Pairs, limits: Limits, findings: tuple[Finding, ...]
) -> tuple[WeightsReport, tuple[Finding, ...]]:
    """Return the report with what stays undecided, and all findings: ``findings`` and those that follow from the numbers."""
    all_findings = (*findings, *_errors(report, pairs, limits), *_open(report))
    undecided = tuple(
        f.message for f in all_findings if f.code in (codes.WITHOUT_ORIGINAL.code, codes.NOT_COMPARED.code)
    )
    return replace(report, undecided=undecided), all_findings


def _errors(report: WeightsReport, pairs: Pairs, limits: Limits) -> Iterator[Finding]:
    yield from _different(report, pairs)
    for pair in pairs.quantized:
        stats = report.modules.get(pair.module)
        if stats is not None and stats.block.nonfinite:
            message = f"{pair.reference.name}: {stats.block.nonfinite} weights of the original are not finite"
            yield codes.NOT_FINITE.at(pair.module, message)
        elif is_low(pair, stats, limits) and stats is not None:
            yield codes.LOW_SQNR.at(pair.module, _low_words(pair, stats, report, min_sqnr(pair, limits)))
        elif limits.strict and stats is not None and stats.beyond:
            share = stats.beyond / stats.block.weights
            message = f"{stats.beyond} weights ({share:.2%}) lie up to {stats.block.largest_error_steps:.3g} steps off"
            yield codes.BEYOND_HALF_STEP.at(pair.module, message)
        elif not report.recomputed and stats is not None:
            yield from _single(pair, stats, min_sqnr(pair, limits))
    if report.missing and not report.unmatched:
        yield codes.LOST.at(report.missing[0], f"of the reference, nothing is left of {named(report.missing, NAMED)}")


def _single(pair: QuantizedPair, stats: CompareStats, least: float) -> Iterator[Finding]:
    """Yield what is wrong with one row, or with single values, of a weight that is near on the whole."""
    row = far_row(pair, stats, least)
    if row is not None:
        yield codes.FAR_ROW.at(pair.module, f"against {pair.reference.name}, {row.words}")
    elif pair.bits == _BITS and pair.form != "float8" and stats.block.largest_error_steps > _STRAY_STEPS:
        message = f"near {pair.reference.name} on the whole, but values lie up to {stats.block.largest_error_steps:.0f} steps off"
        yield codes.STRAY.at(pair.module, message)


def _low_words(pair: QuantizedPair, stats: CompareStats, report: WeightsReport, least: float) -> str:
    rows = [row for row in report.worst_rows if row.module == pair.module]
    worst = f"; worst row {rows[0].row} ({rows[0].sqnr_db:.1f} dB)" if rows else ""
    return f"SQNR {stats.sqnr_db:.1f} dB against {pair.reference.name}, {least:.0f} dB are asked for{worst}"


def _different(report: WeightsReport, pairs: Pairs) -> Iterator[Finding]:
    dense = {pair.tensor.name: pair for pair in pairs.dense}
    parts = {part.name: part for pair in pairs.quantized for part in pair.parts.values()}
    for difference in report.differences:
        name = difference.tensor
        if name in dense:
            yield codes.CHANGED_DENSE.at(name, _dense_words(dense[name], difference))
        elif name in parts:
            where = _place(parts[name].shape, parts[name].nbytes, difference)
            yield codes.CHANGED_RESULT.at(name, f"is not what the reference gives, first at {where}")
        else:
            yield codes.CHANGED_RESULT.at(name, "is not what the recipe on record gives")


def _dense_words(pair: DensePair, difference: Difference) -> str:
    if pair.tensor.shape != pair.reference.shape:
        return f"is {list(pair.tensor.shape)}, the reference's {list(pair.reference.shape)}"
    if pair.tensor.dtype != pair.reference.dtype:
        return f"is {pair.tensor.dtype} and not the reference's {pair.reference.dtype} values rounded"
    return f"differs from the reference's, first at {_place(pair.tensor.shape, pair.tensor.nbytes, difference)}"


def _place(shape: tuple[int, ...], nbytes: int, difference: Difference) -> str:
    row_bytes = nbytes // shape[0] if shape and shape[0] else nbytes
    row = f"row {difference.offset // row_bytes}, " if len(shape) > 1 and row_bytes else ""
    return f"{row}byte {difference.offset}"


def _open(report: WeightsReport) -> Iterator[Finding]:
    if report.unmatched:
        lost = f", and it has {named(report.missing, 2)} of its own" if report.missing else ""
        message = f"the reference has nothing of the name of {named(report.unmatched, NAMED)}{lost}"
        yield codes.WITHOUT_ORIGINAL.at(report.unmatched[0], message)
    for reason in dict.fromkeys(report.unreadable.values()):
        modules = [module for module, why in report.unreadable.items() if why == reason]
        yield codes.NOT_COMPARED.at(modules[0], f"{named(modules, NAMED)}: {reason}")
    if report.calibrated:
        message = f"{len(report.calibrated)} tensors come from calibration: {named(report.calibrated, NAMED)}"
        yield codes.CALIBRATED.at(report.calibrated[0], message)
    changed = {difference.tensor for difference in report.differences}
    rounded = [name for name in report.converted if name not in changed]
    if rounded:
        yield codes.CONVERTED.at(
            rounded[0], f"{len(rounded)} dense tensors are rounded to another dtype: {named(rounded, NAMED)}"
        )
