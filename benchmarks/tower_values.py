"""Ask the real vLLM about every value of a wrapper's config that is not its text model's, and count where ctq says otherwise.

    python -m benchmarks.tower_values ask --vllm-python ENV/bin/python --work DIR [--families NAME ...]
    python -m benchmarks.tower_values judge --work DIR

Each family is built once, quantized without its head. Then one value at a time is changed in its config alone: every number, text,
switch and list of its towers and projectors, and of the top level, is replaced by others, left out, or made null, and each config
inside is emptied. ``ask`` keeps vLLM's answers in DIR, so that a run that was stopped goes on; ``judge`` holds ctq's against them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from families import EVERY, LEARNT_ONLY, SWEPT, build
from sweep_claims import claims_of
from sweep_quantize import quantize_as
from sweep_truth import Observation, Truth, read_observation, serves, truth_of
from sweep_verdict import disagreements
from tower_changes import Change, changed, changes, is_telling

from benchmarks.loads import observed
from ctq.checkpoint.config import CONFIG_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from family import Family

Json = dict[str, Any]
BATCH: Final = 5
"""Families that vLLM is asked about together."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("ask", "judge"))
    parser.add_argument("--vllm-python", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--families", nargs="*", help="only these")
    parser.add_argument("--few", action="store_true", help="only the changes that tell most")
    options = parser.parse_args()
    store = options.work / "answers.jsonl"
    names = options.families or list(wrappers())
    if options.task == "ask":
        options.work.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(names), BATCH):
            ask(names[start : start + BATCH], store, options.work, options.vllm_python.absolute(), few=options.few)
    else:
        judge(read_answers(store), set(names), options.work)


def wrappers() -> dict[str, Family]:
    """Return the families with a text model inside, one of each architecture: that of the sweep where it has one."""
    every = (*LEARNT_ONLY.values(), *reversed([*SWEPT.values()]))
    firsts = {family.architecture: family for family in every if family.text}
    return {family.name: family for family in EVERY.values() if family in firsts.values()}


def base_of(name: str, work: Path) -> Path | None:
    """Return the healthy checkpoint of a family, built where it is not there yet; None where this machine builds none."""
    folder = work / "bases" / name
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory() as scratch:
        try:
            dense = build(name, Path(scratch) / "dense")
        except Exception as error:  # noqa: BLE001  # whatever transformers says: there is no such family here
            print(f"{name}: not built: {str(error)[:200]}")
            return None
        made = quantize_as("no head", dense, Path(scratch) / "made")
        if not made.promise:
            print(f"{name}: not quantized: {made.refusals[-1][:200]}")
            return None
        folder.parent.mkdir(exist_ok=True)
        shutil.move(made.folder, folder)
    return folder


def ask(names: Sequence[str], store: Path, work: Path, python: Path, *, few: bool) -> None:
    """Ask vLLM what the store lacks yet of some families."""
    known = {(row["family"], row["path"], json.dumps(row["value"])) for row in read_answers(store)}
    cases: list[tuple[str, Change | None, Path]] = []
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        for name in names:
            base = base_of(name, work)
            config = json.loads((base / CONFIG_NAME).read_text()) if base is not None else {}
            wanted = [one for one in changes(config) if is_telling(one) or not few]
            waiting = [one for one in wanted if (name, one.path, json.dumps(one.value)) not in known]
            if base is None or not waiting:
                continue
            cases.append((name, None, base))
            for number, one in enumerate(waiting):
                cases.append((name, one, with_change(base, Path(scratch) / f"{name}-{number}", one)))
        loads = observed([folder for *_, folder in cases], python)
    usual: dict[str, Observation] = {}
    with store.open("a") as stream:
        for (name, change, _), seen in zip(cases, loads, strict=True):
            if change is None:
                usual[name] = seen
                print(name, truth_of(seen, seen), flush=True)
            elif serves(usual[name], usual[name]):
                row = {"family": name, "path": change.path, "value": change.value}
                stream.write(json.dumps({**row, "usual": usual[name].to_json(), "seen": seen.to_json()}) + "\n")


def with_change(base: Path, folder: Path, change: Change) -> Path:
    """Make a copy with one value of the config changed."""
    shutil.copytree(base, folder, copy_function=lambda source, target: Path(target).hardlink_to(source))
    (folder / CONFIG_NAME).unlink()
    config = json.loads((base / CONFIG_NAME).read_text())
    (folder / CONFIG_NAME).write_text(json.dumps(changed(config, change)))
    return folder


def read_answers(store: Path) -> list[Json]:
    """Return what is known already."""
    return [json.loads(line) for line in store.read_text().splitlines()] if store.exists() else []


def truth_in(row: Json) -> tuple[Truth, str]:
    """Return what vLLM made of a case, and why."""
    usual: Observation = read_observation(row["usual"])
    return truth_of(read_observation(row["seen"]), usual)


def judge(rows: Sequence[Json], names: set[str], work: Path) -> None:
    """Print every disagreement and their number by kind and key."""
    counts: Counter[str] = Counter()
    for row, kind, why in judged(rows, names, work):
        counts["cases"] += 1
        counts[kind] += bool(kind)
        if kind:
            print(f"{kind:12} {row['family']:22} {row['path']} = {json.dumps(row['value'])}: {why}", flush=True)
    print(dict(counts))


def judged(rows: Sequence[Json], names: set[str], work: Path) -> Iterator[tuple[Json, str, str]]:
    """Yield each case with how ctq disagrees, and why."""
    for row in rows:
        if row["family"] not in names:
            continue
        truth, why = truth_in(row)
        with tempfile.TemporaryDirectory(dir=work) as scratch:
            change = Change(row["path"], row["value"])
            claims = claims_of(with_change(work / "bases" / row["family"], Path(scratch) / "case", change))
        found = [
            (command, kind) for command, kind in disagreements(truth, claims) if command in ("ctq", "inspect", "verify")
        ]
        kinds = sorted({f"{kind}" for _, kind in found})
        said = claims.crash or "; ".join(claims.errors) or claims.why
        yield row, ",".join(kinds), f"{truth}: {why[:160]}" + (f" | ctq: {said[:160]}" if said else "")


if __name__ == "__main__":
    main()
