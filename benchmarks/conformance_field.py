"""The field: checkpoints as merges, scripts and other tools leave them, healthy ones among them, judged blind.

Its kinds (`tests/support/field_*.py`) were written without looking at ctq's rules or at the sweep of faults. What a kind
does is drawn by ``--seed``; so are the checkpoints that it is tried on. The engine's answers are kept in the folder of work.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from field_bases import BASES, FAMILY_NAMES, MIRRORED_NAMES, base_of
from field_cases import Case, drawn
from sweep_claims import REFUSAL, Claims, claims_of, read_claims
from sweep_store import Store, stamp_of
from sweep_truth import Observation, observe, read_observation, truth_of
from sweep_verdict import disagreements

import ctq
from ctq.verify.vllm.engine import VllmRequest, run_vllm

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from field_model import Model

CODE: Final = Path(ctq.__file__).parent
BATCH: Final = 160
SLOW_S: Final = 120.0
COMMANDS: Final = ("ctq", "inspect", "verify")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this part is asked by."""
    parser.add_argument("--vllm-python", type=Path, required=True, help="the interpreter that has vLLM 0.32.0")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=2, help="checkpoints that each kind of change is tried on")
    parser.add_argument("--pairs", type=int, default=150, help="pairs of changes")
    parser.add_argument("--bases", type=int, default=3, help="healthy checkpoints of each family")
    parser.add_argument("--workers", type=int, default=2, help="processes of the engine, and of ctq")
    parser.add_argument("--known", action="store_true", help="only cases that the engine has answered before")
    parser.add_argument("--only", default="", help="only cases with these words in their name")


def main(options: argparse.Namespace) -> int:
    """Run the sweep, print every disagreement of inspection and verification, and return how many there are."""
    field = Field(options)
    bases = field.bases()
    counts: Counter[str] = Counter()
    cases = ((case, model) for case, model in drawn(bases, seed=options.seed, each=options.each, pairs=options.pairs))
    chosen = ((case, model) for case, model in cases if options.only in case.name)
    report = (options.work / f"report-{options.seed}.jsonl").open("w")
    while batch := list(islice(chosen, BATCH)):
        for case, seen, claims in field.judged(batch):
            row = _row(case, seen, field.truth(case.healthy), claims)
            report.write(json.dumps(row) + "\n")
            counts["cases"] += 1
            counts[f"vLLM: {row['truth']}"] += 1
            counts["exit 3"] += REFUSAL in claims.errors
            for what in row["wrong"]:
                counts[what] += 1
                print(
                    f"{what}: {case.name}: vLLM {row['truth']} ({row['why'][:160]}) | {row['said'][:200]}", flush=True
                )
        print(dict(counts), flush=True)
    report.close()
    return sum(count for what, count in counts.items() if what.startswith("false"))


def _row(case: Case, seen: Observation, healthy: Observation, claims: Claims) -> dict[str, object]:
    truth, why = truth_of(seen, healthy)
    found = [(command, kind) for command, kind in disagreements(truth, claims) if command in COMMANDS]
    if REFUSAL in claims.errors:
        found = [(command, f"exit 3 though {truth.value}") for command, kind in found if kind == "false alarm"]
    said = claims.crash or "; ".join(claims.errors) or f"verified {claims.verified}: {claims.why}"
    return {
        "family": case.family,
        "base": case.base,
        "kinds": case.kinds,
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
        self._healthy: dict[Case, Observation] = {}
        self._pool = ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn"))

    def bases(self) -> list[tuple[Case, Path]]:
        """Return the healthy checkpoints that the engine serves, some of each family."""
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
        self._ask(dict(found))
        good = []
        for case, folder in found:
            truth, why = truth_of(self.truth(case), self.truth(case))
            if truth.is_good:
                good.append((case, folder))
            else:
                print(f"base not served: {case.name}: {truth} {why[:150]}", flush=True)
        print(f"{len(good)} bases of {len({case.family for case, _ in good})} families", flush=True)
        return good

    def truth(self, case: Case) -> Observation:
        """Return what the engine showed of a healthy checkpoint."""
        return self._healthy[case]

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
        stamps = stamps or {case: stamp_of(folder, "*.json", "*.safetensors") for case, folder in folders.items()}
        new = [case for case in folders if self._truths.get(case.name, stamps[case]) is None]
        count = min(self._options.workers, len(new))
        start = time.monotonic()

        def ask(part: list[Case]) -> list[Observation]:
            requests = [VllmRequest(checkpoint=folders[case]) for case in part]
            return [observe(result) for result in run_vllm(requests, python=self._python, timeout_s=SLOW_S)]

        if count:
            parts = [new[number::count] for number in range(count)]
            with ThreadPoolExecutor(count) as pool:
                for part, answers in zip(parts, pool.map(ask, parts), strict=True):
                    for case, answer in zip(part, answers, strict=True):
                        self._truths.put(case.name, stamps[case], answer.to_json())
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
