"""Learn sizes that are made of numbers which few architectures have, or which no model takes alone.

    python -m benchmarks.learn.skeleton_sizes --vllm-python ENV/bin/python

Where a dimension is not known yet, transformers outlines the family with each number of its config changed, a number that it does
not take alone together with another. Of the numbers that move the dimension sums of products are tried; what fits is kept where the
real vLLM loads every such change. The result goes into `ctq/engines/data/skeletons.json`.
"""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from families import build
from sweep_quantize import quantize_as
from sweep_truth import serves

from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import Axis, Terms, moved, template, value, written
from benchmarks.learn.skeleton_switches import made, samples
from benchmarks.learn.skeletons import DATA, FAMILIES, read_build, write
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from family import Family

    from benchmarks.learn.skeleton_fit import Build

    Make: TypeAlias = Callable[[dict[str, int]], Build | None]

Json: TypeAlias = dict[str, Any]
NO_SIZE: Final = re.compile(
    r"token|layer|vocab|_id$|seed|window|interval|period|offset|top_?k|per_tok|chunk|num_labels"
)
"""Numbers that no dimension is made of, or that have rules of their own."""
TOWER: Final = re.compile(r"vis|audio|image")
COEFFICIENTS: Final = (1, 2)
MOST_TERMS: Final = 3


@dataclass(frozen=True)
class Change:
    """Numbers of the text model's config that were changed together, and what came of it."""

    numbers: dict[str, int]
    build: Build


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    known: Json = json.loads(DATA.read_text())["architectures"]
    for name, family in FAMILIES.items():
        entry = known.get(family.architecture)
        if entry is None or (options.families and name not in options.families):
            continue
        axes = unknown(entry, family)
        for (key, axis), expression in (learn(name, axes, options.vllm_python) if axes else {}).items():
            slot = entry["tensors"][key]
            slot[1] = slot[1] or [None] * (1 + max(other for tensor, other in axes if tensor == key))
            slot[1][axis] = expression
            print(family.architecture, key, axis, expression, sep="; ", flush=True)
    write(known)


def unknown(entry: Json, family: Family) -> set[Axis]:
    """Return the dimensions of the decoder's tensors that are not known; of what is not known at all, those of an outline."""
    outline = made(family, {})
    found = [(template(name), len(shape)) for name, shape in outline.shapes.items()] if outline is not None else []
    ranks = {name: rank for name, rank in found if all(rank == other for tensor, other in found if tensor == name)}
    return {
        (key, axis)
        for key, slot in entry["tensors"].items()
        if not TOWER.search(key) and key.endswith((".weight", "_log", ".D", "_bias"))
        for axis, expression in enumerate(slot[1] or [None] * ranks.get(key, 0))
        if expression is None
    }


def learn(name: str, axes: set[Axis], python: Path) -> dict[Axis, str]:
    """Return what the dimensions of one family are made of, as transformers and vLLM have it."""
    with tempfile.TemporaryDirectory() as scratch:
        make = maker(name, {key for key, _ in axes}, Path(scratch))
        first = make({})
        changes = [] if first is None else list(changes_of(make, first))
    if first is None:
        return {}
    fitted = {axis: terms for axis in axes if (terms := fit(axis, first, changes))}
    needed = [change for change in changes if moved(first, change.build) & fitted.keys()]
    lost = {axis for change in refused_of(name, needed, python) for axis in moved(first, change.build)}
    return {axis: written(terms) for axis, terms in fitted.items() if axis not in lost}


def maker(name: str, keys: set[str], scratch: Path) -> Make:
    """Return what makes a family with numbers changed: outlines where they have the files' names, whole builds elsewhere."""
    family, count = FAMILIES[name], itertools.count()
    usual = made(family, {})
    if usual is not None and keys <= set(map(template, usual.shapes)):
        return lambda over: made(family, over)

    def whole(over: Json) -> Build | None:
        try:
            return read_build(build(name, scratch / str(next(count)), config=family.in_text(over)))
        except Exception:  # noqa: BLE001  # whatever a model says against a number: it is not taken
            return None

    return whole


def changes_of(make: Make, first: Build) -> Iterator[Change]:
    """Yield each number changed, alone or with the first other that makes it fit."""
    numbers = {key: size for key, size in first.numbers.items() if size > 0 and not NO_SIZE.search(key)}
    for key, size in numbers.items():
        tries: list[dict[str, int]] = [{key: 2 * size}, {key: size // 2}, {key: size + 1}]
        tries += [{key: 2 * size, other: 2 * beside} for other, beside in numbers.items() if other != key]
        tries += [{key: 2 * size, other: beside // 2} for other, beside in numbers.items() if other != key]
        for over in tries:
            build_ = make(over) if all(over.values()) else None
            if build_ is not None:
                yield Change(over, build_)
                break


def fit(axis: Axis, first: Build, changes: Sequence[Change]) -> Terms | None:
    """Return the simplest sum of products of the numbers that move a dimension; None where there is none."""
    sizes = samples(axis, [first, *(change.build for change in changes)])
    movers = {key for change in changes if axis in moved(first, change.build) for key in changed(first, change.build)}
    others = {key for change in changes for key in changed(first, change.build)} - movers
    known = [key for key in first.numbers if all(key in numbers for _, numbers in sizes)]
    keys = [key for key in known if key in movers]
    products = [*((key,) for key in keys), *itertools.combinations(keys, 2)]
    products += [(other, key) for key in keys for other in known if other in others]
    for count in range(1, MOST_TERMS + 1):
        for chosen in itertools.combinations(products, count):
            for factors in itertools.product(COEFFICIENTS, repeat=count):
                terms = tuple(zip(factors, chosen, strict=True))
                if all(value(terms, numbers) == size for size, numbers in sizes):
                    return terms
    more = (((1, (key,)), (count, ())) for key in keys for count in COEFFICIENTS)
    return next((terms for terms in more if all(value(terms, numbers) == size for size, numbers in sizes)), None)


def changed(first: Build, other: Build) -> set[str]:
    """Return the numbers that are not what they were."""
    return {key for key, number in other.numbers.items() if number != first.numbers.get(key)}


def refused_of(name: str, changes: Sequence[Change], python: Path) -> list[Change]:
    """Return the changes with which the real vLLM does not load a family."""
    with tempfile.TemporaryDirectory() as scratch:
        folders: dict[int, Path] = {}
        for number, change in enumerate(changes):
            folder = Path(scratch) / str(number)
            build(name, folder / "dense", config=FAMILIES[name].in_text(change.numbers))
            made_ = quantize_as("no head", folder / "dense", folder / "out")
            folders |= {number: made_.folder} if made_.promise else {}
        seen = observed(folders.values(), python)
    good = {number for number, one in zip(folders, seen, strict=True) if serves(one)}
    return [change for number, change in enumerate(changes) if number not in good]


if __name__ == "__main__":
    main()
