"""What a pass over a block saw, as values that add up to a whole weight's."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


def sqnr_db(signal: float, noise: float) -> float:
    """Return the signal to quantization noise ratio in decibels; infinite without noise, NaN where values are not finite."""
    if math.isnan(noise) or math.isnan(signal):
        return math.nan
    if noise == 0:
        return math.inf
    if signal <= 0 or math.isinf(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)


def _shift(first: int | None, by: int) -> int | None:
    return None if first is None else first + by


@dataclass(frozen=True)
class BlockStats:
    """Sums over quantized weights, in the weight's own unit squared.

    ``a + b`` is for blocks in row order: ``first_nonfinite`` is a flat index (row * columns + column) from the first
    row of the first block. The sums leave out rows that hold a NaN or an infinity.
    """

    weights: int = 0
    signal: float = 0.0
    noise: float = 0.0
    largest_error_steps: float = 0.0
    nonfinite: int = 0
    first_nonfinite: int | None = None

    def __add__(self, other: BlockStats) -> BlockStats:
        first = self.first_nonfinite
        return BlockStats(
            self.weights + other.weights,
            self.signal + other.signal,
            self.noise + other.noise,
            max(self.largest_error_steps, other.largest_error_steps),
            self.nonfinite + other.nonfinite,
            first if first is not None else _shift(other.first_nonfinite, self.weights),
        )

    @property
    def sqnr_db(self) -> float:
        """Return the signal to quantization noise ratio in decibels; infinite without noise."""
        return sqnr_db(self.signal, self.noise)


@dataclass(frozen=True)
class RowStats:
    """Sums over one row of a block, ``row``: noise in steps squared, signal and noise in the weight's unit squared."""

    steps: float
    row: int
    signal: float
    noise: float


@dataclass(frozen=True)
class CompareStats:
    """Sums over a block of stored values compared with their weights, whoever quantized them.

    ``beyond`` counts weights that are more than half a step from what stands for them; ``steps`` is the noise in steps
    squared, endless where a scale is of no use, and ``worst_row`` the row that has most of it, None where only the block on the
    whole was measured. Added in another order than that of the rows, ``block.first_nonfinite`` says nothing.
    """

    block: BlockStats = BlockStats()
    beyond: int = 0
    steps: float = 0.0
    worst_row: RowStats | None = None

    def __add__(self, other: CompareStats) -> CompareStats:
        rows = (row for row in (self.worst_row, other.worst_row) if row is not None)
        return CompareStats(
            self.block + other.block,
            self.beyond + other.beyond,
            self.steps + other.steps,
            max(rows, key=lambda row: row.steps, default=None),
        )

    def starting_at(self, first: int) -> CompareStats:
        """Return the same of a block that begins at row ``first`` of its weight."""
        row = self.worst_row
        return self if row is None else replace(self, worst_row=replace(row, row=first + row.row))

    @property
    def sqnr_db(self) -> float:
        """Return the signal to quantization noise ratio in decibels; NaN where values are not finite."""
        return self.block.sqnr_db
