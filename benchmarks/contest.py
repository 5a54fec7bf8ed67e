"""Contestants run in turns, each a whole process, and what came of it as numbers."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks.process import Measured, measure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Rounds: TypeAlias = list[dict[str, Measured]]


@dataclass(frozen=True, slots=True)
class Contestant:
    """One of the things compared: its name in tables, what it runs, and in how many rounds it takes part at most."""

    name: str
    command: tuple[str, ...]
    rounds: int = 99


def compete(contestants: Sequence[Contestant], output: Path, *, rounds: int) -> Rounds:
    """Run every contestant once a round, the first of a round being another one each time.

    Before each run the last output is removed and the disk has taken what it was given.
    """
    results: Rounds = []
    for number in range(rounds):
        turn = number % len(contestants)
        results.append({})
        for contestant in [*contestants[turn:], *contestants[:turn]]:
            if number >= contestant.rounds:
                continue
            shutil.rmtree(output, ignore_errors=True)
            os.sync()
            found = measure(contestant.command, log=output.with_suffix(".log"))
            results[-1][contestant.name] = found
            print(f"round {number + 1}: {contestant.name}: {found.seconds:.2f} s", file=sys.stderr)
    shutil.rmtree(output, ignore_errors=True)
    output.with_suffix(".log").unlink(missing_ok=True)
    return results


def summarise(contestants: Sequence[Contestant], rounds: Rounds) -> list[dict[str, Any]]:
    """Return medians and spread of each contestant, and its ratio to the first one, taken within rounds."""
    first = contestants[0].name
    return [_summary(contestant.name, first, rounds) for contestant in contestants]


def _summary(name: str, first: str, rounds: Rounds) -> dict[str, Any]:
    runs = [taken[name] for taken in rounds if name in taken]
    seconds = [run.seconds for run in runs]
    ratios = [taken[name].seconds / taken[first].seconds for taken in rounds if name in taken]
    return {
        "name": name,
        "runs": len(runs),
        "median_s": round(statistics.median(seconds), 3),
        "min_s": round(min(seconds), 3),
        "max_s": round(max(seconds), 3),
        "ratio": round(statistics.median(ratios), 2),
        "cpu_s": round(statistics.median(run.cpu_seconds for run in runs), 2),
        "peak_mb": round(max(run.peak_bytes for run in runs) / 1e6),
    }


def raw(rounds: Rounds) -> list[dict[str, dict[str, float]]]:
    """Return every run as JSON takes it."""
    return [{name: asdict(run) for name, run in taken.items()} for taken in rounds]
