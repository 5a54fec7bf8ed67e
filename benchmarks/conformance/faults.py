"""The sweep of faults: every way of breaking a healthy checkpoint, over architectures and schemes, some in pairs."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from families import build
from sweep_claims import Claims, claims_of, read_claims
from sweep_faults import (
    Case,
    all_cases,
    break_copy,
    further_cases,
    healthy,
    main_cases,
    make_base,
    number_cases,
    other_cases,
    pairs,
)
from sweep_outcomes import Outcomes, case_of, read_outcomes, write_outcomes
from sweep_store import Store, stamp_of
from sweep_truth import Observation, Truth, read_observation, truth_of
from sweep_verdict import Kind, disagreements

from benchmarks.conformance.faults_page import PAGE, page
from benchmarks.loads import observed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

CODE: Final = Path(__file__).parents[2] / "ctq"
BATCH: Final = 250
"""Checkpoints that lie on the disk at a time, and that one process of the engine is given."""
SETS: Final[dict[str, Callable[[], Iterable[Case]]]] = {
    "healthy": healthy,
    "main": main_cases,
    "others": other_cases,
    "further": further_cases,
    "pairs": pairs,
    "all": all_cases,
    "numbers": number_cases,
}
Known = dict[Case, tuple[Observation, Claims]]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this part is asked by."""
    parser.add_argument("--vllm-python", type=Path, required=True, help="the interpreter that has vLLM 0.32.0")
    parser.add_argument("--cases", choices=SETS, default="all", help="numbers: judged against the dense original alone")
    parser.add_argument("--known", action="store_true", help="only cases that the engine has answered before")
    parser.add_argument("--only", default="", help="only cases with these words in their name")
    parser.add_argument(
        "--write", action="store_true", help="store the outcomes beside the tests, and the page in docs/"
    )


def main(options: argparse.Namespace) -> int:
    """Run the sweep, print every disagreement and return how many there are."""
    cases = [case for case in dict.fromkeys(SETS[options.cases]()) if options.only in case.name]
    bases = list(dict.fromkeys(case.base for case in cases))
    python = None if options.known else options.vllm_python.absolute()
    sweep = Sweep(options.work, python, numbers=options.cases == "numbers")
    known = sweep.answers(list(dict.fromkeys([*bases, *cases])))
    if options.cases == "numbers":
        return print_numbers(known)
    if options.write:
        write_outcomes(outcomes_of(sweep.stored()))
        PAGE.write_text(page(read_outcomes()), encoding="utf-8")
    return print_disagreements(known)


class Sweep:
    """The folder of work: dense originals, healthy bases, what the engine showed and what ctq said of each case."""

    def __init__(self, work: Path, python: Path | None, *, numbers: bool) -> None:
        self._work, self._python, self._numbers = work, python, numbers
        self._truths = Store(work / "truths.jsonl")
        self._claims = Store(work / ("numbers.jsonl" if numbers else "claims.jsonl"))
        self._code = stamp_of(CODE, "*.py", "*.json")

    def answers(self, cases: Sequence[Case]) -> Known:
        """Answer every case that applies, a batch at a time."""
        known: Known = {}
        for start in range(0, len(cases), BATCH):
            known |= self._batch(cases[start : start + BATCH])
            print(f"{min(start + BATCH, len(cases))} of {len(cases)}", flush=True)
        return known

    def stored(self) -> Known:
        """Return all answers that this code has given in this folder of work, of whatever run."""
        known: Known = {}
        for name, stamp, answer in self._claims.rows():
            folder, _, code = stamp.partition("-")
            seen = self._truths.get(name, folder)
            if code == self._code and seen is not None:
                known[case_of(name)] = (read_observation(seen), read_claims(answer))
        return known

    def _batch(self, cases: Sequence[Case]) -> Known:
        root = self._work / f"cases-{os.getpid()}"
        shutil.rmtree(root, ignore_errors=True)
        folders = {case: root / str(number) for number, case in enumerate(cases)}
        folders = {case: folder for case, folder in folders.items() if break_copy(case, self._base(case), folder)}
        stamps = {case: stamp_of(folder) for case, folder in folders.items()}
        new = {case: folder for case, folder in folders.items() if not self._seen(case, stamps)}
        if self._python is None:
            folders = {case: folder for case, folder in folders.items() if case not in new}
        else:
            self._ask_engine(new, stamps, self._python)
        known = {}
        for case, folder in folders.items():
            known[case] = (self._observation(case, stamps), self._said(case, folder, stamps[case]))
        shutil.rmtree(root, ignore_errors=True)
        return known

    def _seen(self, case: Case, stamps: Mapping[Case, str]) -> bool:
        return self._numbers or self._truths.get(case.name, stamps[case]) is not None

    def _observation(self, case: Case, stamps: Mapping[Case, str]) -> Observation:
        answer = self._truths.get(case.name, stamps[case])
        return read_observation(answer) if answer else Observation(outcome="undecided")

    def _ask_engine(self, folders: Mapping[Case, Path], stamps: Mapping[Case, str], python: Path) -> None:
        for case, seen in zip(folders, observed(folders.values(), python), strict=True):
            self._truths.put(case.name, stamps[case], seen.to_json())

    def _said(self, case: Case, folder: Path, stamp: str) -> Claims:
        stamp = f"{stamp}-{self._code}"
        answer = self._claims.get(case.name, stamp)
        if answer is None:
            answer = asdict(claims_of(folder, reference=self._dense(case.family) if self._numbers else None))
            self._claims.put(case.name, stamp, answer)
        return read_claims(answer)

    def _base(self, case: Case) -> Path:
        folder = self._work / "bases" / f"{case.family}-{case.scheme}".replace(" ", "-")
        return folder if folder.exists() else make_base(case, self._dense(case.family), folder)

    def _dense(self, family: str) -> Path:
        folder = self._work / "dense" / family
        return folder if folder.exists() else build(family, folder)


def judged(known: Known) -> Iterator[tuple[Case, Truth, str, tuple[tuple[str, Kind], ...], Claims]]:
    """Yield each case with the engine's outcome, the reason, and how ctq disagrees."""
    for case, (seen, claims) in known.items():
        baseline = known[case.base][0] if case.base in known else None
        truth, why = truth_of(seen, baseline)
        yield case, truth, why, disagreements(truth, claims), claims


def outcomes_of(known: Known) -> Outcomes:
    """Return what is stored of answers."""
    rows = list(judged(known))
    said = {case: tuple((command, str(kind)) for command, kind in found) for case, _, _, found, _ in rows if found}
    return Outcomes({case: truth for case, truth, *_ in rows}, said)


def print_disagreements(known: Known) -> int:
    """Print every disagreement, then how many there are of each kind; return how many there are in all."""
    counts: Counter[str] = Counter()
    for case, truth, why, found, claims in judged(known):
        counts[truth] += 1
        for command, kind in found:
            counts[f"{kind}: {command}"] += 1
            print(f"{kind}: {command}: {case.name}: vLLM {truth} ({why[:150]})")
            print(
                f"    errors {[error[:110] for error in claims.errors]} verified {claims.verified} ({claims.why[:150]})"
            )
            print(f"    promised {claims.expected}, head {claims.head}, verdict {claims.verdict} {claims.crash}")
    print(f"{len(known)} cases: {dict(counts)}")
    return counts.total() - len(known)


def print_numbers(known: Known) -> int:
    """Print every case whose changed numbers the comparison with the original does not find; return how many."""
    missed = [case for case, (_, claims) in known.items() if case.faults and claims.compared != "fail"]
    alarms = [case for case, (_, claims) in known.items() if not case.faults and claims.compared != "pass"]
    for case in (*missed, *alarms):
        claims = known[case][1]
        print(
            f"{'missed' if case.faults else 'false alarm'}: {case.name}: {claims.compared} {claims.why[:200]} {claims.crash}"
        )
    print(f"{len(known)} cases: {len(missed)} missed, {len(alarms)} false alarms")
    return len(missed) + len(alarms)
