"""The sweep of transformers as a loader: every tiny family, quantized six ways by the command line, loaded and run.

The dense original is loaded first: what fails there is no fault of the quantization, and is listed as not judged.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from families import SWEPT, build
from sweep_loader import Dense, Seen, load_dense, observe, read_seen, truth_of
from sweep_loader_claims import Said, said_of
from sweep_quantize import SCHEMES, Made, quantize_as
from sweep_store import Store, stamp_of
from sweep_twin import write_twin

from benchmarks import RESULTS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

TABLE: Final = RESULTS / "loaders.json"
WEIGHT_ONLY: Final = ("W8A16", "no head W8A16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One family in one scheme: what the command promised, what transformers made of it, what ctq said, and how they disagree."""

    family: str
    architecture: str
    scheme: str
    dense: str = ""
    promise: str = ""
    truth: str = ""
    why: str = ""
    verdict: str = ""
    said: tuple[str, ...] = ()
    wrong: str = ""
    weights: float = 0.0
    original: tuple[float, ...] = ()
    twin: tuple[float, ...] = ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this part is asked by."""
    parser.add_argument("--families", default="", help="only these, separated by commas; no table is then stored")


def main(options: argparse.Namespace) -> int:
    """Run the sweep, print every disagreement and return how many there are."""
    os.environ["TQDM_DISABLE"] = "1"
    names = options.families.split(",") if options.families else list(SWEPT)
    sweep = Sweep(options.work)
    rows: list[Row] = []
    for number, name in enumerate(names, 1):
        found = sweep.rows(name)
        rows += found
        outcomes = ", ".join(f"{row.scheme} {row.truth or 'not judged'}" for row in found)
        print(f"{number} of {len(names)}: {name}: {outcomes}", flush=True)
    if not options.families:
        TABLE.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return print_rows(rows)


class Sweep:
    """The folder of work: what transformers made of each original and result."""

    def __init__(self, work: Path) -> None:
        self._root = work / "made"
        self._seen = Store(work / "seen.jsonl")

    def rows(self, name: str) -> list[Row]:
        """Judge one family."""
        shutil.rmtree(self._root, ignore_errors=True)
        try:
            source = build(name, self._root / "dense")
        except Exception as error:  # noqa: BLE001  # transformers cannot build it
            rows = [self._row(name, scheme) for scheme in SCHEMES]
            return [replace(row, dense=f"not built: {type(error).__name__}") for row in rows]
        made = {scheme: quantize_as(scheme, source, self._root / scheme.replace(" ", "-")) for scheme in SCHEMES}
        seen = self._observed(name, source, made)
        return [self._judged(name, scheme, made[scheme], seen) for scheme in SCHEMES]

    def _observed(self, name: str, source: Path, made: dict[str, Made]) -> dict[str, Seen]:
        """Return what was seen of the original, as "", and of each result; it is run where one is not known yet."""
        folders = {"": source} | {scheme: one.folder for scheme, one in made.items() if one.promise}
        stamps = {key: stamp_of(folder, "*.json", "*.safetensors") for key, folder in folders.items()}
        known = {key: self._seen.get(f"{name}:{key}", stamp) for key, stamp in stamps.items()}
        dense = load_dense(source) if None in known.values() else None
        for key, folder in folders.items():
            if known[key] is None:
                assert dense is not None
                known[key] = (dense.seen if not key else _result_of(folder, dense)).to_json()
                self._seen.put(f"{name}:{key}", stamps[key], known[key] or {})
        return {key: read_seen(value) for key, value in known.items() if value}

    def _judged(self, name: str, scheme: str, made: Made, seen: dict[str, Seen]) -> Row:
        dense = seen[""]
        refusal = made.refusals[-1].strip()[:200] if made.refusals else ""
        why_dense = f"{dense.stage}: {dense.error}" if dense.error else ""
        row = replace(self._row(name, scheme), dense=why_dense, promise=made.promise)
        if dense.error or not made.promise:
            return replace(row, why=refusal)
        truth, why = truth_of(seen[scheme], dense, weight_only=scheme in WEIGHT_ONLY)
        said = said_of(made.folder)
        one = seen[scheme]
        return replace(
            row,
            truth=str(truth),
            why=why,
            verdict=said.verdict,
            said=said.findings,
            wrong=_wrong(truth.is_good, said),
            weights=one.weights,
            original=one.original,
            twin=one.twin,
        )

    @staticmethod
    def _row(name: str, scheme: str) -> Row:
        return Row(family=name, architecture=SWEPT[name].architecture, scheme=scheme)


def _result_of(folder: Path, dense: Dense) -> Seen:
    if dense.logits is None:
        return observe(folder, dense, None)
    twin = load_dense(write_twin(folder, folder.with_name(f"{folder.name}-twin")))
    return observe(folder, dense, None if twin.seen.missing else twin.logits)


def _wrong(is_good: bool, said: Said) -> str:
    if is_good and said.is_bad:
        return "false alarm"
    return "" if is_good or said.is_bad else "not said"


def print_rows(rows: Sequence[Row]) -> int:
    """Print what was not judged, each disagreement and the counts; return how many rows disagree."""
    for row in rows:
        if row.scheme == "W8A8" and not row.truth:
            print(f"not judged: {row.family}: {row.dense or row.why}")
    for row in rows:
        if row.wrong:
            print(f"{row.family} {row.scheme}: {row.wrong}; transformers {row.truth}: {row.why}; {'; '.join(row.said)}")
    counts = Counter(row.truth or "not judged" for row in rows)
    bad = sum(bool(row.wrong) for row in rows)
    print(f"{len(rows)} results of {len({row.family for row in rows})} families: {dict(counts)}; {bad} disagree")
    return bad
