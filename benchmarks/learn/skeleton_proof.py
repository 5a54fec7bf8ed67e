"""Hold the sizes that were learnt against builds that differ in one number, under each switch that brings or changes tensors.

    python -m benchmarks.learn.skeleton_proof --vllm-python ENV/bin/python

What was fitted to few builds may hold in them by chance: twice `hidden_size` where a factor of the config happens to be two. A size
that is not what transformers gives a changed config is dropped where the real vLLM loads that change; `skeleton_sizes.py`
learns it anew. The result goes into `ctq/engines/data/skeletons.json`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from families import build
from learnt_sizes import Odd, changed, odd_sizes
from sweep_quantize import quantize_as
from sweep_truth import serves

from benchmarks.learn.options import script
from benchmarks.learn.skeleton_sizes import NO_SIZE
from benchmarks.learn.skeletons import DATA, FAMILIES, SWITCH, write
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from family import Family
    from variants import Outline

Json: TypeAlias = dict[str, Any]
Changes: TypeAlias = tuple[tuple[str, Any], ...]


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    known: Json = json.loads(DATA.read_text())["architectures"]
    for name, family in FAMILIES.items():
        if family.architecture not in known or (options.families and name not in options.families):
            continue
        for odd, changes in served(name, doubts(family), options.vllm_python).items():
            known[family.architecture]["tensors"][odd.tensor][1][odd.axis] = None
            print(family.architecture, odd.tensor, odd.axis, odd.expression, changes, sep="; ", flush=True)
    write(known)


def doubts(family: Family) -> dict[Odd, Changes]:
    """Return each dimension that a changed config gives another size than was learnt, with the first such change."""
    found: dict[Odd, Changes] = {}
    for changes, outline in builds(family):
        for odd in odd_sizes(family, outline):
            found.setdefault(odd, tuple(changes.items()))
    return found


def builds(family: Family) -> Iterator[tuple[Json, Outline]]:
    """Yield outlines with one number doubled, halved or evened out, as the family is and under each switch that changes tensors."""
    first = changed(family, {})
    if first is None:
        return
    level = text_of(first.config)
    numbers = {key: size for key, size in level.items() if type(size) is int and size > 0 and not NO_SIZE.search(key)}
    flips = [{key: not value} for key, value in level.items() if isinstance(value, bool) and SWITCH.search(key)]
    turned = [flip for flip in flips if (found := changed(family, flip)) is not None and found.shapes != first.shapes]
    for flip in ({}, *turned):
        for key, size in numbers.items():
            for value in (2 * size, size // 2):
                outline = changed(family, {**flip, key: value}) if value else None
                if outline is not None:
                    yield {**flip, key: value}, outline


def text_of(config: Json) -> Json:
    """Return the level of the text model."""
    return next((config[key] for key in ("text_config", "llm_config") if isinstance(config.get(key), dict)), config)


def served(name: str, found: dict[Odd, Changes], python: Path) -> dict[Odd, Changes]:
    """Return those whose change the real vLLM loads."""
    with tempfile.TemporaryDirectory() as scratch:
        folders: dict[Changes, Path] = {}
        for number, changes in enumerate(dict.fromkeys(found.values())):
            folder = Path(scratch) / str(number)
            build(name, folder / "dense", config=FAMILIES[name].in_text(dict(changes)))
            if quantize_as("no head", folder / "dense", folder / "out").promise:
                folders[changes] = folder / "out"
        seen = observed(folders.values(), python)
    good = {key for key, one in zip(folders, seen, strict=True) if serves(one)}
    return {odd: changes for odd, changes in found.items() if changes in good}


if __name__ == "__main__":
    main()
