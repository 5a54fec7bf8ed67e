"""What the sweep of faults last gave, stored beside the tests: the engine's outcome of every case, and each disagreement."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sweep_faults import Case
from sweep_truth import Truth

if TYPE_CHECKING:
    from collections.abc import Mapping

STORED: Final = Path(__file__).with_name("fault_outcomes.json")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """``truths`` by case; ``disagreements`` are what a command said otherwise: (command, kind)."""

    truths: Mapping[Case, Truth]
    disagreements: Mapping[Case, tuple[tuple[str, str], ...]]


def read_outcomes() -> Outcomes:
    """Read what is stored."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    truths = {
        case_of(f"{base}/{faults}"): Truth(truth)
        for base, found in stored["outcomes"].items()
        for truth, names in found.items()
        for faults in names.split()
    }
    said = {
        case_of(name): tuple((command, kind) for command, kind in rows)
        for name, rows in stored["disagreements"].items()
    }
    return Outcomes(truths, said)


def write_outcomes(outcomes: Outcomes) -> None:
    """Store outcomes, a base and an outcome a line."""
    bases: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for case, truth in outcomes.truths.items():
        base, _, faults = case.name.rpartition("/")
        bases[base][truth].append(faults)
    stored = {
        "outcomes": {
            base: {truth: " ".join(names) for truth, names in sorted(found.items())} for base, found in bases.items()
        },
        "disagreements": {case.name: list(rows) for case, rows in outcomes.disagreements.items()},
    }
    STORED.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def case_of(name: str) -> Case:
    """Return the case that a name stands for."""
    family, scheme, faults = name.split("/")
    return Case(family, scheme, () if faults == "healthy" else tuple(faults.split("+")))
