"""Learn sizes that depend on switches of the config: a fused projection holds one head of keys, or all, as `multi_query` says.

    python -m benchmarks.learn.skeleton_switches --vllm-python ENV/bin/python

Each switch of a family's config is turned alone; where tensors of the same names get other sizes, these are fitted anew for every
combination of such switches, from outlines that transformers makes with one number changed. Combinations that the real vLLM does
not serve are left open. The result goes into `ctq/engines/data/skeletons.json`, as `switch?size where it is set:size elsewhere`.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from families import build
from sweep_quantize import quantize_as
from sweep_truth import serves
from variants import fields_of, outline_of, overrides

from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import Axis, Build, build_from, dimension, moved, template, text_level
from benchmarks.learn.skeletons import DATA, FAMILIES, OTHER_VALUES, write
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from family import Family

Json: TypeAlias = dict[str, Any]
Sizes: TypeAlias = dict[tuple[bool, ...], str | None]
"""Expressions by the values of the switches."""
ELSEWHERE: Final = ("tie_word_embeddings", "use_cache")
MOST: Final = 3
"""Switches that are learnt together."""


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    python = options.vllm_python
    known: Json = json.loads(DATA.read_text())["architectures"]
    for name, family in FAMILIES.items():
        if options.families and name not in options.families:
            continue
        entry = known.get(family.architecture)
        switches = switches_of(family) if entry else ()
        if entry is None or not 0 < len(switches) <= MOST:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = learn(name, switches, Path(scratch), python)
        for (key, axis), expression in found.items():
            slot = entry["tensors"][key]
            slot[1] = slot[1] or [None] * (axis + 1)
            slot[1][axis] = expression
            print(family.architecture, key, axis, expression, sep="; ", flush=True)
        if "head_dim" in str(found):
            entry["computed"] = sorted({*entry["computed"], "head_dim"})
    write(known)


def made(family: Family, changes: Mapping[str, Any]) -> Build | None:
    """Outline a family with fields of its text model's config changed."""
    paths = [(f"{family.text}.{key}" if family.text else key, value) for key, value in changes.items()]
    outline = outline_of(family, overrides(family, paths))
    return None if outline is None else build_from(text_level(outline.config), outline.shapes)


def switches_of(family: Family) -> tuple[str, ...]:
    """Return the switches that change sizes."""
    first = made(family, {})
    switches = {} if first is None else first.switches
    turned = {key: made(family, {key: not value}) for key, value in switches.items() if key not in ELSEWHERE}
    return tuple(key for key, build_ in turned.items() if first and build_ and moved(first, build_))


def learn(name: str, switches: tuple[str, ...], scratch: Path, python: Path) -> dict[Axis, str]:
    """Return the sizes that depend on the switches, with an expression for all their combinations."""
    family = FAMILIES[name]
    combinations = list(itertools.product((True, False), repeat=len(switches)))
    usual = {values: made(family, dict(zip(switches, values, strict=True))) for values in combinations}
    axes = {
        axis for one, other in itertools.combinations(filter(None, usual.values()), 2) for axis in moved(one, other)
    }
    found: dict[Axis, Sizes] = defaultdict(dict)
    worked_out = not any(path.rpartition(".")[2] == "head_dim" for path in fields_of(family))
    for number, (values, first) in enumerate(usual.items()):
        set_to = dict(zip(switches, values, strict=True))
        if first is None or not is_served(name, set_to, scratch / str(number), python):
            continue
        numbers = [key for key in first.numbers if key in OTHER_VALUES and not (key == "head_dim" and worked_out)]
        changed = [made(family, {**set_to, key: OTHER_VALUES[key]}) for key in numbers]
        for axis in axes:
            found[axis][values] = dimension(samples(axis, [build_ for build_ in (first, *changed) if build_]))
    trees = {axis: tree(switches, sizes) for axis, sizes in found.items()}
    return {axis: expression for axis, expression in trees.items() if expression.strip(":")}


def samples(axis: Axis, builds: list[Build]) -> list[tuple[int, dict[str, int]]]:
    """Return the sizes of one dimension with the numbers of their builds."""
    return [
        (shape[axis[1]], build_.numbers)
        for build_ in builds
        for name, shape in build_.shapes.items()
        if template(name) == axis[0]
    ]


def is_served(name: str, switches: Json, scratch: Path, python: Path) -> bool:
    """Tell whether the real vLLM loads a combination."""
    build(name, scratch / "dense", config=FAMILIES[name].in_text(switches))
    if not quantize_as("no head", scratch / "dense", scratch / "out").promise:
        return False
    [seen] = observed([scratch / "out"], python)
    return serves(seen)


def tree(switches: tuple[str, ...], sizes: Sizes) -> str:
    """Write sizes as a chain of switches, each with a size of its own where it has one value."""
    if len({sizes.get(values) for values in itertools.product((True, False), repeat=len(switches))}) == 1:
        return next(iter(sizes.values()), None) or ""
    for number, switch in enumerate(switches):
        for value in (True, False):
            rest = (*switches[:number], *switches[number + 1 :])
            halves = {
                half: {key[:number] + key[number + 1 :]: size for key, size in sizes.items() if key[number] is half}
                for half in (True, False)
            }
            leaf = tree(rest, halves[value])
            if "?" not in leaf:
                return f"{'' if value else '!'}{switch}?{leaf}:{tree(rest, halves[not value])}"
    return ""


if __name__ == "__main__":
    main()
