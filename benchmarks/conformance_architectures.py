"""The sweep of architectures: every tiny family, quantized four ways by the command line and loaded by the real vLLM.

The dense checkpoint is loaded first: what the engine refuses there is no fault of the quantization, and is listed as not judged.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from families import FAMILIES, MORE_FAMILIES, build
from mirrored import build_mirrored
from mirrored_multimodal import MIRRORED_MULTIMODAL
from mirrored_text import MIRRORED_TEXT
from sweep_claims import Claims, claims_of, read_claims
from sweep_quantize import SCHEMES, Made, quantize_as
from sweep_store import Store, stamp_of
from sweep_truth import Observation, Truth, observe, read_observation, truth_of
from sweep_verdict import disagreements

from ctq.verify.vllm.engine import VllmRequest, run_vllm

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

ROOT: Final = Path(__file__).parents[1]
TABLE: Final = ROOT / "benchmarks" / "results" / "architectures.json"
MIRRORED: Final = {row.name: row for row in (*MIRRORED_TEXT, *MIRRORED_MULTIMODAL)}
ALL: Final = {**FAMILIES, **MORE_FAMILIES, **MIRRORED}
BATCH: Final = 12
"""Families whose checkpoints lie on the disk at a time."""
SLOW_S: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One family in one scheme: what the command promised, what the engine made of it, and every disagreement."""

    family: str
    architecture: str
    scheme: str
    dense: str
    promise: str
    refusal: str
    truth: str
    why: str
    wrong: tuple[str, ...] = ()


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this part is asked by."""
    parser.add_argument("--families", default="", help="only these, separated by commas; no table is then stored")


def main(options: argparse.Namespace) -> int:
    """Run the sweep, print every disagreement and return how many there are."""
    names = options.families.split(",") if options.families else list(ALL)
    sweep = Sweep(options.work, options.vllm_python.absolute())
    rows: list[Row] = []
    for start in range(0, len(names), BATCH):
        rows += sweep.rows(names[start : start + BATCH])
        print(f"{min(start + BATCH, len(names))} of {len(names)} families", flush=True)
    if not options.families:
        TABLE.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return print_rows(rows)


class Sweep:
    """The folder of work: the dense originals, and what the engine and ctq said of each result."""

    def __init__(self, work: Path, python: Path) -> None:
        self._work, self._python = work, python
        self._truths, self._claims = Store(work / "truths.jsonl"), Store(work / "claims.jsonl")
        self._code = stamp_of(ROOT / "ctq", "*.py", "*.json")

    def rows(self, names: Sequence[str]) -> list[Row]:
        """Judge some families."""
        root = self._work / "made"
        shutil.rmtree(root, ignore_errors=True)
        made: dict[tuple[str, str], Made] = {}
        folders: dict[tuple[str, str], Path] = {}
        for name, dense in self._dense(names).items():
            folders[name, ""] = dense
            for scheme in SCHEMES:
                made[name, scheme] = quantize_as(scheme, dense, root / f"{name}-{scheme}".replace(" ", "-"))
                if made[name, scheme].promise:
                    folders[name, scheme] = made[name, scheme].folder
        seen = self._observed(folders)
        found = [
            judge(name, scheme, made[name, scheme], seen, self._said(name, scheme, made[name, scheme]))
            for name, scheme in made
        ]
        shutil.rmtree(root, ignore_errors=True)
        return found

    def _dense(self, names: Sequence[str]) -> dict[str, Path]:
        """Build the dense originals that are not there yet."""
        stamp = stamp_of(ROOT / "tests" / "support", "famil*.py", "mirror*.py", "dense_builder.py")
        root = self._work / "dense" / stamp
        failed = build_mirrored([MIRRORED[name] for name in names if name in MIRRORED], root, python=self._python)
        assert not failed, failed
        for name in names:
            if not (root / name / "config.json").exists():
                shutil.rmtree(root / name, ignore_errors=True)
                build(name, root / name)
        return {name: root / name for name in names}

    def _observed(self, folders: dict[tuple[str, str], Path]) -> dict[tuple[str, str], Observation]:
        stamps = {key: stamp_of(folder, "*.json", "*.safetensors") for key, folder in folders.items()}
        new = [key for key in folders if self._truths.get(":".join(key), stamps[key]) is None]
        requests = [VllmRequest(checkpoint=folders[key]) for key in new]
        for key, result in zip(new, run_vllm(requests, python=self._python, timeout_s=SLOW_S), strict=True):
            self._truths.put(":".join(key), stamps[key], observe(result).to_json())
        answers = {key: self._truths.get(":".join(key), stamps[key]) for key in folders}
        return {key: read_observation(answer) for key, answer in answers.items() if answer}

    def _said(self, name: str, scheme: str, made: Made) -> Claims:
        if not made.promise:
            return Claims()
        stamp = f"{stamp_of(made.folder, '*.json', '*.safetensors')}-{self._code}"
        answer = self._claims.get(f"{name}:{scheme}", stamp)
        if answer is None:
            answer = asdict(claims_of(made.folder))
            self._claims.put(f"{name}:{scheme}", stamp, answer)
        return read_claims(answer)


def judge(name: str, scheme: str, made: Made, seen: dict[tuple[str, str], Observation], claims: Claims) -> Row:
    """Compare promise, engine and verdicts of one result."""
    dense, reason = truth_of(seen[name, ""])
    row = Row(
        family=name,
        architecture=ALL[name].architecture,
        scheme=scheme,
        dense=str(dense) if dense.is_good else f"{dense}: {reason[:200]}",
        promise=made.promise,
        refusal=made.refusals[0].strip() if made.refusals else "",
        truth="",
        why="",
    )
    if not made.promise or not dense.is_good:
        return row
    truth, why = truth_of(seen[name, scheme], seen[name, ""])
    return replace(row, truth=str(truth), why=why[:300], wrong=tuple(_wrong(made, truth, claims)))


def _wrong(made: Made, truth: Truth, claims: Claims) -> Iterator[str]:
    if made.unsupported and truth is Truth.QUANTIZED:
        yield "the head was refused, and the engine dispatches it"
    elif not made.unsupported and truth is not {"quantized": Truth.QUANTIZED}.get(made.promise, Truth.DENSE):
        yield f"promised {made.promise}"
    yield from (f"{kind}: {command}: {' '.join(claims.errors)[:150]}" for command, kind in disagreements(truth, claims))


def print_rows(rows: Sequence[Row]) -> int:
    """Print what was not judged, each disagreement and the counts; return how many rows disagree."""
    for row in rows:
        if row.scheme == "W8A8" and not row.truth:
            print(f"not judged: {row.family}: dense {row.dense}; {row.refusal[:200]}")
    for row in rows:
        for wrong in row.wrong:
            print(f"{row.family} {row.scheme}: {wrong}; vLLM {row.truth}: {row.why}")
    counts: Counter[str] = Counter(row.truth or "not judged" for row in rows)
    bad = sum(bool(row.wrong) for row in rows)
    print(
        f"{len(rows)} results of {len({row.architecture for row in rows})} architectures: {dict(counts)}; {bad} disagree"
    )
    return bad


def rows_of(path: Path = TABLE) -> list[dict[str, Any]]:
    """Read the stored table."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows
