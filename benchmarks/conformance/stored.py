"""The stored faults: what this code says of each against what vLLM was seen to make of it, in minutes and without an engine.

The outcomes are those that the last whole sweep of ``faults`` stored beside the tests. Run it after a change of the rules.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from families import build
from sweep_claims import claims_of, inspected
from sweep_faults import Case, break_copy, make_base
from sweep_outcomes import read_outcomes
from sweep_verdict import disagreements, inspection

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from sweep_claims import Claims
    from sweep_truth import Truth
    from sweep_verdict import Kind

Judged = tuple[str, "Truth", tuple[tuple[str, "Kind"], ...], "Claims"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this part is asked by."""
    parser.add_argument(
        "--inspect-only", action="store_true", help="without verification, which takes most of the time"
    )
    parser.add_argument("--only", default="", help="only cases with these words in their name")
    parser.add_argument("--workers", type=int, default=2)


def main(options: argparse.Namespace) -> int:
    """Judge every stored case, print every disagreement and return how many there are."""
    bases: dict[Case, list[Case]] = defaultdict(list)
    for case in read_outcomes().truths:
        if options.only in case.name:
            bases[Case(case.family, case.scheme)].append(case)
    for family in sorted({base.family for base in bases}):
        if not (folder := options.work / "dense" / family).exists():
            build(family, folder)
    shutil.rmtree(options.work / "cases", ignore_errors=True)
    judge = partial(judged, work=options.work, inspect_only=options.inspect_only)
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        for rows in pool.map(judge, bases, bases.values()):
            for name, truth, found, claims in rows:
                counts[truth.value] += 1
                for command, kind in found:
                    counts[f"{kind}: {command}"] += 1
                    said = claims.crash or "; ".join(claims.errors)[:200] or f"{claims.verified}: {claims.why[:200]}"
                    print(f"{kind}: {command}: {name}: vLLM {truth}: {said}", flush=True)
    print(dict(counts))
    return sum(count for what, count in counts.items() if ": " in what)


def judged(base: Case, cases: Sequence[Case], *, work: Path, inspect_only: bool) -> list[Judged]:
    """Return the outcome of each case of one base, and how this code disagrees with it."""
    truths = read_outcomes().truths
    root = work / "cases" / base.name.replace("/", "-").replace(" ", "-")
    healthy = make_base(base, work / "dense" / base.family, root / "healthy")
    rows: list[Judged] = []
    for number, case in enumerate(cases):
        folder = root / str(number)
        if not break_copy(case, healthy, folder):
            print(f"no such case any more: {case.name}", flush=True)
            continue
        claims = inspected(folder) if inspect_only else claims_of(folder)
        found = tuple(inspection(truths[case], claims)) if inspect_only else disagreements(truths[case], claims)
        rows.append((case.name, truths[case], found, claims))
        shutil.rmtree(folder)
    return rows
