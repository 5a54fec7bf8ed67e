"""Single rows that are far from their original within a weight that is near on the whole. Pure.

However scales and roundings were chosen, the rows of a weight keep about the same distance from their originals when it is counted
in steps of their own scales: half a step at most for rounding to nearest, and for GPTQ what one matrix of activations makes of the
roundings of all rows alike. A row that holds another's codes, or is scaled by another's scale, is tens of steps off. Its decibels
alone do not tell: one large weight in a row leaves few for the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ctq.kernels.stats import sqnr_db

if TYPE_CHECKING:
    from ctq.kernels.stats import CompareStats
    from ctq.verify.numeric.pairs import QuantizedPair

_BELOW_DB: Final = 10.0
"""Decibels by which a row may lie under what is asked of a weight on the whole."""
_STEPS: Final = 2.0
_TIMES: Final = 4.0
"""Root of a row's mean squared error in steps, in all and as a multiple of the other rows', which no way of quantizing reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FarRow:
    """A row that is not its original, its decibels and those of the other rows, and its distance in steps."""

    row: int
    sqnr_db: float
    others_db: float
    steps: float

    @property
    def words(self) -> str:
        """Say how far it is."""
        off = f"row {self.row} lies {self.steps:.3g} steps off ({self.sqnr_db:.1f} dB)"
        return f"{off}, the other rows are near ({self.others_db:.1f} dB)"


def far_row(pair: QuantizedPair, stats: CompareStats, least: float) -> FarRow | None:
    """Return the row that is furthest off, in steps, where it is far from its original and the others are near.

    ``least`` are the decibels asked of the weight on the whole. A row whose noise is within that of the others is near: next to
    nothing is lost with it.
    """
    row, rest = stats.worst_row, stats.block.weights - pair.columns
    if row is None or rest <= 0:
        return None
    found = sqnr_db(row.signal, row.noise)
    others = sqnr_db(max(0.0, stats.block.signal - row.signal), max(0.0, stats.block.noise - row.noise))
    worst = stats.block.largest_error_steps
    # A clipped value, or a flipped bit, is no row.
    without_one = row.steps - (worst**2 if math.isfinite(worst) else 0.0)
    steps, usual = _root(without_one, pair.columns), _root(stats.steps - row.steps, rest)
    is_far = steps > max(_STEPS, _TIMES * usual)
    is_loud = row.noise * rest > (stats.block.noise - row.noise) * pair.columns
    if is_far and is_loud and found < least - _BELOW_DB:
        return FarRow(row=row.row, sqnr_db=found, others_db=others, steps=steps)
    return None


def _root(squares: float, count: int) -> float:
    """Return the root of the mean of squares; zero where a difference of two endless sums tells nothing."""
    return math.sqrt(max(0.0, squares) / count)
