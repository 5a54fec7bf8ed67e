"""What comparing every weight with the original showed, as values."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ctq.kernels.stats import CompareStats

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMED = 5
"""How many of a kind are named in results: the worst ones, or the first."""


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
    modules: Mapping[str, CompareStats]
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
    def total(self) -> CompareStats:
        """The sums over all modules."""
        return sum(self.modules.values(), CompareStats())

    def worst(self, count: int = NAMED) -> list[tuple[str, CompareStats]]:
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
            "beyond_half_step": total.beyond / total.block.weights if total.block.weights else 0.0,
            "largest_error_steps": _decibels(total.block.largest_error_steps),
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


def _module_json(name: str, stats: CompareStats) -> dict[str, Any]:
    return {
        "module": name,
        "sqnr_db": _decibels(stats.sqnr_db),
        "beyond_half_step": stats.beyond / stats.block.weights if stats.block.weights else 0.0,
        "largest_error_steps": _decibels(stats.block.largest_error_steps),
    }


def _order(sqnr_db: float) -> float:
    return -math.inf if math.isnan(sqnr_db) else sqnr_db


def _decibels(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None
