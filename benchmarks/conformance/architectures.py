"""The sweep of architectures: every tiny family, or variants of their configs, quantized six ways and loaded by the real vLLM."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from families import SWEPT, build
from mirrored import build_mirrored
from mirrored_default import MIRRORED_DEFAULT
from mirrored_multimodal import MIRRORED_MULTIMODAL
from mirrored_text import MIRRORED_TEXT
from variants import drawn

from benchmarks import RESULTS
from benchmarks.conformance.sweep import Item, Row, Sweep

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from family import Family
    from mirrored import Mirrored

TABLE: Final = RESULTS / "architectures.json"
VARIANTS: Final = RESULTS / "variants.json"
MIRRORED: Final = {row.name: row for row in (*MIRRORED_TEXT, *MIRRORED_MULTIMODAL, *MIRRORED_DEFAULT)}
ALL: Final[dict[str, Family | Mirrored]] = {**SWEPT, **MIRRORED}
_PLACE: Final = re.compile(r"/[^\s':\"]*/(?:dense|made)/[^\s':\"\\]*")
"""Where the checkpoints of a run lie, which is nobody else's concern."""
BATCH: Final = 12
"""Items whose checkpoints lie on the disk at a time."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what this part is asked by."""
    parser.add_argument("--vllm-python", type=Path, required=True, help="the interpreter that has vLLM 0.32.0")
    parser.add_argument("--families", default="", help="only these, separated by commas: their rows are replaced")
    parser.add_argument(
        "--variants", type=int, default=0, help="instead of the families, so many variants of their configs"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the variants")


def main(options: argparse.Namespace) -> int:
    """Run the sweep, print every disagreement and return how many there are."""
    names = options.families.split(",") if options.families else []
    items = variants(options.variants, options.seed, names) if options.variants else families(names)
    python = options.vllm_python.absolute()
    sweep = Sweep(options.work, python, partial(prepare, python))
    rows: list[Row] = []
    for start in range(0, len(items), BATCH):
        rows += sweep.rows(items[start : start + BATCH])
        print(f"{min(start + BATCH, len(items))} of {len(items)}", flush=True)
    if not (options.variants and names):
        store(rows, VARIANTS if options.variants else TABLE, replace=bool(names))
    return print_rows(rows)


def store(rows: Sequence[Row], path: Path, *, replace: bool) -> None:
    """Store rows, one a line, without what is empty; ``replace`` puts them in the place of earlier ones of the same families."""
    found = {row.family: [asdict(other) for other in rows if other.family == row.family] for row in rows}
    kept: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in json.loads(path.read_text()) if replace and path.exists() else ():
        kept[row["family"]].append(row)
    every = [row for family in (kept | found).values() for row in family]
    lines = [_PLACE.sub("MODEL", json.dumps({key: value for key, value in row.items() if value})) for row in every]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def prepare(python: Path, names: Sequence[str], root: Path) -> None:
    """Build those that transformers does not know, together: the engine is asked for their tensors."""
    failed = build_mirrored([MIRRORED[name] for name in names if name in MIRRORED], root, python=python)
    assert not failed, failed


def families(names: Sequence[str]) -> list[Item]:
    """Return the families as they are."""
    return [
        Item(name=name, architecture=ALL[name].architecture, build=partial(build, name)) for name in names or list(ALL)
    ]


def variants(count: int, seed: int, names: Sequence[str]) -> list[Item]:
    """Return mutations of the families."""
    return [
        Item(
            name=variant.name,
            architecture=variant.family.architecture,
            build=variant.build,
            more=dict.fromkeys(("W8A16", "no head W8A16"), variant.packing),
        )
        for variant in drawn(count, seed, names)
    ]


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
