"""The field: checkpoints as merges, scripts and other tools leave them, healthy ones among them, judged blind.

Its kinds (`tests/support/field/field_*.py`) were written without looking at ctq's rules or at the sweep of faults. What a kind
does is drawn by ``--seed``; so are the checkpoints that it is tried on. The engine's answers are kept in the folder of work.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import shutil
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from field_bases import BASES, FAMILY_NAMES, MIRRORED_NAMES, base_of
from field_cases import Case, changed, drawn
from field_model import Skip, read_model
from sweep_claims import REFUSAL, Claims, claims_of, read_claims
from sweep_store import Store, stamp_of
from sweep_truth import Observation, read_observation, serves, truth_of
from sweep_verdict import disagreements

import ctq
from benchmarks.loads import observed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from field_model import Model

CODE: Final = Path(ctq.__file__).parent
BATCH: Final = 160
SLOW_S: Final = 120.0
FILES: Final = ("*.json", "*.safetensors")
COMMANDS: Final = ("ctq", "inspect", "verify")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this part is asked by."""
    parser.add_argument("--vllm-python", type=Path, required=True, help="the interpreter that has vLLM 0.32.0")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=2, help="checkpoints that each kind of change is tried on")
    parser.add_argument("--pairs", type=int, default=150, help="pairs of changes")
    parser.add_argument("--bases", type=int, default=3, help="healthy checkpoints of each family")
    parser.add_argument("--workers", type=int, default=2, help="processes of the engine, and of ctq")
    parser.add_argument(
        "--known", action="store_true", help="the cases of the stored report again, of which the engine is not asked"
    )
    parser.add_argument("--only", default="", help="only cases with these words in their name")


def main(options: argparse.Namespace) -> int:
    """Run the sweep, print every disagreement of inspection and verification, and return how many there are."""
    path = options.work / f"report-{options.seed}.jsonl"
    field, counts, old = Field(options), Counter[str](), _reported(path) if options.known else []
    bases = field.bases({case.healthy for case in old} if options.known else None)
    new = drawn(bases, seed=options.seed, each=options.each, pairs=options.pairs)
    cases = _again(old, bases) if options.known else new
    chosen = ((case, model) for case, model in cases if options.only in case.name)
    with (path.with_suffix(".part") if options.only else path).open("w") as report:

        def told(judged: Iterator[tuple[Case, Observation, Claims]]) -> None:
            for case, seen, claims in judged:
                row = _row(case, seen, field.baseline(case), claims)
                report.write(json.dumps(row) + "\n")
                _count(counts, case, row, claims)

        told(field.judged_bases())
        while batch := list(islice(chosen, BATCH)):
            told(field.judged(batch))
            print(dict(counts), flush=True)
    return sum(count for what, count in counts.items() if what.startswith("false"))


def _reported(path: Path) -> list[Case]:
    """Return the cases of a report, without the healthy ones."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [Case(row["family"], row["base"], tuple(row["kinds"]), row["seed"]) for row in rows if row["kinds"]]


def _again(cases: Sequence[Case], bases: Sequence[tuple[Case, Path]]) -> Iterator[tuple[Case, Model]]:
    """Yield the cases with what they are, where their checkpoint is there."""
    folders = dict(bases)
    for case in cases:
        if folder := folders.get(case.healthy):
            with contextlib.suppress(Skip):
                yield case, changed(case, read_model(folder))


def _count(counts: Counter[str], case: Case, row: Mapping[str, Any], claims: Claims) -> None:
    counts["cases" if case.kinds else "bases"] += 1
    counts[f"vLLM: {row['truth']}"] += 1
    counts["exit 3"] += REFUSAL in claims.errors
    for what in row["wrong"]:
        counts[what] += 1
        print(f"{what}: {case.name}: vLLM {row['truth']} ({row['why'][:160]}) | {row['said'][:200]}", flush=True)


def _row(case: Case, seen: Observation, healthy: Observation, claims: Claims) -> dict[str, Any]:
    truth, why = truth_of(seen, healthy)
    found: list[tuple[str, str]] = [
        (command, kind) for command, kind in disagreements(truth, claims) if command in COMMANDS
    ]
    if REFUSAL in claims.errors:
        found = [(command, f"exit 3 though {truth.value}") for command, kind in found if kind == "false alarm"]
    said = claims.crash or "; ".join(claims.errors) or f"verified {claims.verified}: {claims.why}"
    return {
        "family": case.family,
        "base": case.base,
        "kinds": case.kinds,
        "seed": case.seed,
        "truth": truth.value,
        "why": why,
        "said": said,
        "wrong": sorted({f"{kind}: {command}" for command, kind in found}),
    }


def _written(case: Case, model: Model, folder: Path) -> bool:
    """Write a case; two changes of files may stand in each other's way, which makes none."""
    try:
        model.write(folder)
    except (OSError, ValueError, KeyError, AttributeError, StopIteration):
        if len(case.kinds) < 2:
            raise
        return False
    return True


class Field:
    """The folder of work: healthy checkpoints, what the engine showed and what ctq said."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options, self._work = options, options.work
        self._python = options.vllm_python.absolute()
        self._truths, self._claims = Store(options.work / "truths.jsonl"), Store(options.work / "claims.jsonl")
        self._code = stamp_of(CODE, "*.py", "*.json")
        self._folders: dict[Case, Path] = {}
        self._healthy: dict[Case, Observation] = {}
        self._pool = ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn"))

    def bases(self, wanted: Collection[Case] | None = None) -> list[tuple[Case, Path]]:
        """Return the healthy checkpoints that the engine serves, some of each family, or the wanted ones."""
        found = self._drawn() if wanted is None else self._built(wanted)
        self._ask(dict(found))
        self._folders = dict(found)
        good = [(case, folder) for case, folder in found if serves(self.truth(case), self.truth(case))]
        print(
            f"{len(good)} of {len(found)} bases are served, of {len({case.family for case, _ in good})} families",
            flush=True,
        )
        return good

    def _built(self, wanted: Collection[Case]) -> list[tuple[Case, Path]]:
        every = {replace(case, base="dense") for case in wanted} | set(wanted)
        return [(case, base_of(case.family, case.base, self._work, self._python)) for case in sorted(every)]

    def _drawn(self) -> list[tuple[Case, Path]]:
        draw, found = Random(self._options.seed), []
        for family in (*FAMILY_NAMES, *MIRRORED_NAMES):
            left = self._options.bases
            for base in ("dense", *draw.sample(BASES[1:], len(BASES) - 1)):
                if not left:
                    break
                try:
                    found.append((Case(family, base), base_of(family, base, self._work, self._python)))
                except Exception as error:  # noqa: BLE001  # no such checkpoint here, whatever the reason
                    print(f"no base: {family} {base}: {str(error)[:150]}", flush=True)
                    if base == "dense":
                        break
                    continue
                left -= 1
        return found

    def truth(self, case: Case) -> Observation:
        """Return what the engine showed of a healthy checkpoint."""
        return self._healthy[case]

    def baseline(self, case: Case) -> Observation:
        """Return what a case is held against: the healthy checkpoint, and of that one the dense original."""
        return self.truth(case.healthy if case.kinds else replace(case, base="dense"))

    def judged_bases(self) -> Iterator[tuple[Case, Observation, Claims]]:
        """Yield what the engine and ctq say of the healthy checkpoints themselves, where the dense original is served."""
        folders = {
            case: folder for case, folder in self._folders.items() if serves(self.baseline(case), self.baseline(case))
        }
        said = self._said(folders, {case: stamp_of(folder, *FILES) for case, folder in folders.items()})
        for case in folders:
            yield case, self.truth(case), said[case]

    def judged(self, batch: Sequence[tuple[Case, Model]]) -> Iterator[tuple[Case, Observation, Claims]]:
        """Yield what the engine and ctq say of some cases."""
        root = self._work / f"cases-{self._options.seed}"
        shutil.rmtree(root, ignore_errors=True)
        folders = {}
        for number, (case, model) in enumerate(batch):
            if _written(case, model, root / str(number)):
                folders[case] = root / str(number)
        stamps = {case: stamp_of(folder) for case, folder in folders.items()}
        if not self._options.known:
            self._ask(folders, stamps)
        folders = {case: folder for case, folder in folders.items() if self._truths.get(case.name, stamps[case])}
        said = self._said(folders, stamps)
        for case in folders:
            yield case, read_observation(self._truths.get(case.name, stamps[case]) or {}), said[case]
        shutil.rmtree(root, ignore_errors=True)

    def _ask(self, folders: Mapping[Case, Path], stamps: Mapping[Case, str] | None = None) -> None:
        stamps = stamps or {case: stamp_of(folder, *FILES) for case, folder in folders.items()}
        new = [case for case in folders if self._truths.get(case.name, stamps[case]) is None]
        count = min(self._options.workers, len(new))
        start = time.monotonic()

        def ask(part: list[Case]) -> list[Observation]:
            return observed([folders[case] for case in part], self._python, timeout_s=SLOW_S)

        if count:
            parts = [new[number::count] for number in range(count)]
            with ThreadPoolExecutor(count) as pool:
                for part, answers in zip(parts, pool.map(ask, parts), strict=True):
                    for case, one in zip(part, answers, strict=True):
                        self._truths.put(case.name, stamps[case], one.to_json())
            print(f"asked {len(new)} in {time.monotonic() - start:.0f} s", flush=True)
        for case in folders:
            answer = self._truths.get(case.name, stamps[case])
            if not case.kinds and answer:
                self._healthy[case] = read_observation(answer)

    def _said(self, folders: Mapping[Case, Path], stamps: Mapping[Case, str]) -> dict[Case, Claims]:
        known = {case: self._claims.get(case.name, f"{stamps[case]}-{self._code}") for case in folders}
        new = [case for case in folders if known[case] is None]
        start = time.monotonic()
        if new:
            said = self._pool.map(claims_of, [folders[case] for case in new])
            for case, claims in zip(new, said, strict=True):
                known[case] = asdict(claims)
                self._claims.put(case.name, f"{stamps[case]}-{self._code}", known[case] or {})
            print(f"judged {len(new)} in {time.monotonic() - start:.0f} s", flush=True)
        return {case: read_claims(answer or {}) for case, answer in known.items()}
