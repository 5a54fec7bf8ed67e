"""Learn the sizes and the layers of what stands beside the text model of a wrapper: towers of images or sounds, projectors.

    python -m benchmarks.learn.skeleton_towers --vllm-python ENV/bin/python

transformers builds each family with every number and every switch of its towers' configs changed: what moves with it tells which
numbers a dimension is made of, how many layers there are, and which tensors come and go. The real vLLM then loads the family as it
is, which shows the tensors that it leaves unread, with all those numbers changed, and with a layer too many or too few; what it
does not take as transformers does is left open. The result goes into `ctq/engines/data/skeletons.json`.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import Axis, Terms, moved, template, written
from benchmarks.learn.skeletons import DATA, FAMILIES, SWITCH, write
from benchmarks.learn.tower_builds import LENGTH, Maker, Variant, fit
from benchmarks.learn.tower_lists import MARK, apart, counts_of, numbered
from benchmarks.learn.tower_loads import Loads, asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.learn.skeleton_fit import Build

Json: TypeAlias = dict[str, Any]
NO_SIZE: Final = re.compile(r"token(?!s$)|_id$|seed|index(?!es\.#)|(?<!e)eps|chunk|num_labels|length|max_value")
"""Numbers that no dimension is made of."""
PART: Final = 10
"""Families that vLLM is asked about together."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What transformers' builds of one family showed, before vLLM is asked."""

    name: str
    make: Maker
    first: Build
    variants: list[Variant]
    fitted: dict[Axis, Terms]
    lists: dict[str, str]
    numbered: dict[str, list[int]]
    loads: Loads


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    known: Json = json.loads(DATA.read_text())["architectures"]
    firsts = {family.architecture: name for name, family in reversed(FAMILIES.items()) if family.text}
    chosen = [name for architecture, name in firsts.items() if architecture in known]
    chosen = [name for name in chosen if not options.families or name in options.families]
    for start in range(0, len(chosen), PART):
        with tempfile.TemporaryDirectory() as scratch:
            for line in learn(chosen[start : start + PART], known, Path(scratch), options.vllm_python):
                print(line, flush=True)
        write(known)


def learn(names: list[str], known: Json, scratch: Path, python: Path) -> Iterator[str]:
    """Amend the entries of some families' architectures; yield what was learnt."""
    studies = []
    for name in names:
        entry = known[FAMILIES[name].architecture]
        study = studied(name, entry, scratch / name)
        yield f"{name}: {len(study.variants) if study is not None else 'no'} builds"
        studies += [study] if study is not None else []
    asked([study.loads for study in studies], python)
    studies = [study for study in studies if study.loads.is_served]
    for study in studies:
        study.loads.prepare_alone()
    asked([study.loads for study in studies], python)
    for study in studies:
        yield study.name
        yield from (f"  {line}" for line in amend(study, known[FAMILIES[study.name].architecture]))


def studied(name: str, entry: Json, scratch: Path) -> Study | None:
    """Build one family in every way, and what vLLM is to load of it."""
    make = Maker(FAMILIES[name], scratch)
    first = make({})
    if first is None:
        return None
    numbers = {
        key: size for key, size in first.numbers.items() if size > 0 and not NO_SIZE.search(key) and "/" not in key
    }
    variants = list(make.changes(numbers))
    lists = {stack: key for stack, key in counts_of(first, variants).items() if "." in key}
    fixed = numbered(first, [one.build for one in variants], lists)
    first, variants = apart(first, fixed), [Variant(one.over, apart(one.build, fixed)) for one in variants]
    untested = {size for key, size in numbers.items() if not any(key in variant.over for variant in variants)} - {1}
    known = {key: slot[1] or [] for key, slot in entry["tensors"].items()}
    unknown = [
        (key, axis)
        for key in sorted(set(map(template, first.shapes)))
        if key in known or MARK in key
        for axis in range(rank(first, key))
        if not known.get(key) or known[key][axis] is None
    ]
    unknown = [axis for axis in unknown if axis not in set(make.moved_by_ratios(first))]
    fitted = {axis: terms for axis in unknown if (terms := fit(axis, first, variants, untested))}
    loads = Loads(make, first)
    loads.prepare([one for one in variants if moved(first, one.build) & fitted.keys()], set(lists.values()))
    return Study(
        name=name, make=make, first=first, variants=variants, fitted=fitted, lists=lists, numbered=fixed, loads=loads
    )


def rank(build: Build, key: str) -> int:
    """Return the number of dimensions of a tensor; none where the build lacks it."""
    return next((len(shape) for tensor, shape in build.shapes.items() if template(tensor) == key), 0)


def amend(study: Study, entry: Json) -> Iterator[str]:
    """Write into an entry what transformers and vLLM agree about; yield what that is."""
    first, loads, tensors = study.first, study.loads, entry["tensors"]
    entry["sizes"] = {}
    refused = {
        axis
        for over in loads.refused()
        for one in study.variants
        if one.over == over
        for axis in moved(first, one.build)
    }
    yield from (f"refused {over}" for over in loads.refused())
    for (key, axis), usual in sorted(study.fitted.items()):
        terms = without(study, (key, axis)) if (key, axis) in refused else usual
        if terms is None:
            continue
        if MARK in key:
            sizes = entry["sizes"].setdefault(key.replace(MARK, ""), [None] * rank(first, key))
        else:
            sizes = tensors[key][1] = tensors[key][1] or [None] * rank(first, key)
        sizes[axis] = written(terms)
        yield f"{key} {axis} {written(terms)}"
    entry["towers"] = study.make.towers
    entry["lists"] = {stack: [key, *loads.layers(key)] for stack, key in study.lists.items()}
    entry["numbered"] = study.numbered
    yield from options_of(study.make, entry, first)
    counted = {stack for stack, key in study.lists.items() if key.endswith(LENGTH)}  # none where the list is empty
    for key in tensors:
        tensors[key][0] = tensors[key][0] or key.partition(".#")[0] in counted
    yield from (f"{key} {entry[key]}" for key in ("lists", "numbered", "switched"))
    for key in sorted(set(map(template, loads.unread)) & tensors.keys()):
        if tensors[key][0]:
            tensors[key][0] = False
            yield f"unread {key}"


def without(study: Study, axis: Axis) -> Terms | None:
    """Fit a dimension without the numbers of which vLLM takes no other: to it they are constants."""
    refused = study.loads.refused()
    terms = fit(axis, study.first, [one for one in study.variants if one.over not in refused], frozenset())
    used = {number for _, keys in terms or () for key in keys for number in key.split("/")}
    return None if used & {key for over in refused for key in over} else terms


def options_of(make: Maker, entry: Json, first: Build) -> Iterator[str]:
    """Note of tensors that a switch of a tower's config takes away which switch that is; yield what is new."""
    base, tensors = set(map(template, first.shapes)), entry["tensors"]
    switched: dict[str, Any] = {}
    for path, value, usual in make.switches(SWITCH):
        build = make({path: value})
        if build is None:
            continue
        there = set(map(template, build.shapes))
        for key in sorted((base - there) & tensors.keys()):
            switched[key] = [path, usual] if isinstance(usual, bool) and key not in switched else None
        for key in sorted(there - tensors.keys()):
            tensors[key] = [False, None]
            yield f"new {key}"
    for key in [key for key, switch in switched.items() if switch is None]:
        tensors[key][0] = False
    entry["switched"] = {key: switch for key, switch in switched.items() if switch is not None}


if __name__ == "__main__":
    main()
