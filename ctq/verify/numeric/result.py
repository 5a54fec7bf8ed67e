"""What comparing every weight with the original showed, as values."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ctq.kernels.stats import sqnr_db

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.kernels.stats import RowStats

NAMED = 5
"""How many of a kind are named in results: the worst ones, or the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightStats:
    """Sums over the weights of one module, ``signal`` and ``noise`` in the weight's unit squared.

    ``beyond`` counts weights that are further than half a step from their original, ``largest_error_steps`` is the largest such
    distance in steps; ``nonfinite`` counts weights of the original that are NaN or infinite, which are left out. ``steps`` is the
    noise in steps squared and ``noisiest`` the row that has most of it, None where only the weight on the whole was measured.
    """

    weights: int = 0
    signal: float = 0.0
    noise: float = 0.0
    beyond: int = 0
    largest_error_steps: float = 0.0
    nonfinite: int = 0
    steps: float = 0.0
    noisiest: RowStats | None = None

    def __add__(self, other: WeightStats) -> WeightStats:
        return WeightStats(
            weights=self.weights + other.weights,
            signal=self.signal + other.signal,
            noise=self.noise + other.noise,
            beyond=self.beyond + other.beyond,
            largest_error_steps=max(self.largest_error_steps, other.largest_error_steps),
            nonfinite=self.nonfinite + other.nonfinite,
            steps=self.steps + other.steps,
            noisiest=_noisier(self.noisiest, other.noisiest),
        )

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise ratio in decibels; infinite without noise, NaN where values are not finite."""
        return sqnr_db(self.signal, self.noise)


def _noisier(one: RowStats | None, other: RowStats | None) -> RowStats | None:
    return max((row for row in (one, other) if row is not None), key=lambda row: row.steps, default=None)


@dataclass(frozen=True, slots=True)
class Difference:
    """A tensor whose bytes are not what they should be, from the byte ``offset`` of its data on."""

    tensor: str
    offset: int

    def __lt__(self, other: Difference) -> bool:
        return (self.tensor, self.offset) < (other.tensor, other.offset)


@dataclass(frozen=True, slots=True)
class WorstRow:
    """A row of a weight and its signal to quantization noise ratio in decibels."""

    module: str
    row: int
    sqnr_db: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsReport:
    """Every weight of a checkpoint against the reference.

    ``modules`` are the quantized ones that were compared; ``recomputed`` says that the checkpoint is a result of ctq whose bytes
    were computed again from the reference; ``differences`` are tensors that are not byte-equal to what they should be (dense
    ones, and where recomputed all); ``undecided`` is why something could not be proven, if so.
    """

    reference: str
    modules: Mapping[str, WeightStats]
    dense: int
    recomputed: bool
    differences: tuple[Difference, ...] = ()
    worst_rows: tuple[WorstRow, ...] = ()
    missing: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    calibrated: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    nbytes: int = 0
    seconds: float = 0.0

    @property
    def total(self) -> WeightStats:
        """The sums over all modules."""
        return sum(self.modules.values(), WeightStats())

    def worst(self, count: int = NAMED) -> list[tuple[str, WeightStats]]:
        """Return the modules with the lowest signal to quantization noise ratio, those that are not finite first."""
        return sorted(self.modules.items(), key=lambda item: _order(item[1].sqnr_db))[:count]

    def to_json(self) -> dict[str, Any]:
        """Return ``numeric.weights{}``; decibels that are not finite become null."""
        values = [stats.sqnr_db for stats in self.modules.values()]
        worst = self.worst()
        total = self.total
        return {
            "reference": self.reference,
            "recomputed": self.recomputed,
            "modules": len(self.modules),
            "dense": self.dense,
            "sqnr_db": {
                "minimum": _decibels(worst[0][1].sqnr_db) if worst else None,
                "minimum_module": worst[0][0] if worst else None,
                "median": _decibels(statistics.median(values)) if values else None,
            },
            "beyond_half_step": total.beyond / total.weights if total.weights else 0.0,
            "largest_error_steps": _decibels(total.largest_error_steps),
            "worst_modules": [_module_json(name, stats) for name, stats in worst],
            "worst_rows": [
                {"module": r.module, "row": r.row, "sqnr_db": _decibels(r.sqnr_db)} for r in self.worst_rows
            ],
            "differences": [{"tensor": item.tensor, "offset": item.offset} for item in self.differences],
            "missing": list(self.missing),
            "unmatched": list(self.unmatched),
            "unreadable": dict(self.unreadable),
            "calibrated": list(self.calibrated),
            "converted": list(self.converted),
            "undecided": list(self.undecided),
            "bytes": self.nbytes,
            "seconds": round(self.seconds, 3),
        }


def _module_json(name: str, stats: WeightStats) -> dict[str, Any]:
    return {
        "module": name,
        "sqnr_db": _decibels(stats.sqnr_db),
        "beyond_half_step": stats.beyond / stats.weights if stats.weights else 0.0,
        "largest_error_steps": _decibels(stats.largest_error_steps),
    }


def _order(sqnr_db: float) -> float:
    return -math.inf if math.isnan(sqnr_db) else sqnr_db


def _decibels(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None
