"""Mend the skeletons of architectures by what variants of the families' configs are made of.

    python -m benchmarks.learn.skeleton_variants [--families NAME ...]

Each field of `tests/support/models/variant_fields.py` is changed alone. What then has other names is built by transformers itself:
its new tensors are optional, and what it lacks is no longer expected of every layer. Where a variant contradicts a dimension, the
field counts before it, or the dimension is forgotten. Of optional tensors it is learnt beside which others they are never missing.
The result goes into `ctq/engines/data/skeletons.json`.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from families import build
from variant_fields import LAYERS
from variants import Outline, fields_of, outline_of, overrides

from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import Build, presence, template
from benchmarks.learn.skeletons import DATA, FAMILIES, SWITCH, read_build, write
from ctq.checkpoint.config import TIE_KEY, ModelConfig
from ctq.engines.skeletons.dimensions import dimension
from ctq.engines.skeletons.filled import FILLED

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = dict[str, Any]
Layers: TypeAlias = dict[str, frozenset[str]]
"""The layers that have a tensor, by template."""
UNREAD: Final = frozenset({"ffn_hidden_size"})
"""Fields of transformers' classes that vLLM 0.32.0's do not read (models/falcon.py:237)."""
DEEP: Final = 8
"""Layers enough for every kind that a default configuration has, where a family made small has lost some."""


@dataclass(frozen=True)
class Learnt:
    """What the variants of one architecture's families showed."""

    builds: list[Build]
    outlines: list[tuple[str, Outline]]
    """With the field that was changed."""


def main() -> None:
    options = script(__doc__, "families").parse_args()
    known: Json = json.loads(DATA.read_text())["architectures"]
    groups: dict[str, list[str]] = defaultdict(list)
    for name in options.families or FAMILIES:
        groups[FAMILIES[name].architecture].append(name)
    for architecture, names in groups.items():
        if architecture in known:
            print(architecture, *mend(known[architecture], learn(names)), sep="; ", flush=True)
    write(known)


def learn(names: list[str]) -> Learnt:
    """Build families and those of their variants that have other tensors."""
    found = Learnt([], [])
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            usual = outline_of(FAMILIES[name], {})
            found.builds.append(read_build(build(name, Path(scratch) / name)))
            for number, (field, over) in enumerate(changes_of(name)):
                outline = outline_of(FAMILIES[name], over)
                if outline is None or usual is None or outline.shapes == usual.shapes:
                    continue
                found.outlines.append((field, outline))
                if outline.shapes.keys() != usual.shapes.keys():
                    found.builds.append(read_build(build(name, Path(scratch) / f"{name}-{number}", config=over)))
    return found


def changes_of(name: str) -> Iterator[tuple[str, Json]]:
    """Yield each field of a family's text model with what overrides its config, value by value."""
    family = FAMILIES[name]
    for path, values in fields_of(family, switches=SWITCH).items():
        key = path.rpartition(".")[2]
        if path.rpartition(".")[0] == family.text and key != TIE_KEY:
            more = (DEEP,) if family.shrunk and key in LAYERS else ()
            yield from ((key, overrides(family, [(path, value)])) for value in (*values, *more))


def mend(entry: Json, learnt: Learnt) -> Iterator[str]:
    """Amend one architecture's entry; yield what was."""
    tensors: dict[str, list[Any]] = entry["tensors"]
    for build_ in learnt.builds:
        there = presence(build_)
        for key in there.keys() - tensors.keys():
            tensors[key] = [False, None]
            yield f"new {key}"
        for key, slot in tensors.items():
            if slot[0] and not there.get(key, False):
                slot[0] = False
                yield f"optional {key}"
    for field, outline in learnt.outlines:
        yield from correct(entry, field, outline)
    layers = [layers_of(build_) for build_ in learnt.builds]
    for key, slot in tensors.items():
        companion = companion_of(key, layers) if not slot[0] and not key.endswith(FILLED) else None
        slot[2:] = [companion] if companion else []


def correct(entry: Json, field: str, outline: Outline) -> Iterator[str]:
    """Correct dimensions that an outline contradicts."""
    config, computed = ModelConfig(outline.config), frozenset(entry["computed"])
    for name, shape in outline.shapes.items():
        slot = entry["tensors"].get(template(name))
        if slot is None or slot[1] is None or len(slot[1]) != len(shape):
            continue
        for axis, expression in enumerate(slot[1]):
            size = dimension(expression, config, computed) if expression else None
            if size is not None and size != shape[axis]:
                if field in UNREAD:
                    continue
                states = dimension(field, config) == shape[axis]
                slot[1][axis] = f"{field}|{expression}" if states else None
                yield f"{template(name)} is not {expression} but {slot[1][axis]}"


def layers_of(build_: Build) -> Layers:
    """Return the layers that have each tensor of a numbered list; a nameless one for each of no list."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in build_.shapes:
        stack, numbered, _ = template(name).partition(".#.")
        found[template(name)].add(name[len(stack) + 1 :].partition(".")[0] if numbered else "")
    return {name: frozenset(numbers) for name, numbers in found.items()}


def companion_of(name: str, builds: list[Layers]) -> str | None:
    """Return the tensor beside which this one was never missing: of another module, of the most layers, the nearest by name.

    Of a tensor of no list it is one of a list that lies beside it.
    """
    stack, is_numbered, _ = name.partition(".#.")
    lacking = [build_ for build_ in builds if name not in build_]
    candidates = {
        other
        for build_ in builds
        for other in build_
        if other != name and (other.partition(".#.")[0] == stack if is_numbered else _lies_beside(other, name))
    }
    sure = [
        other
        for other in candidates
        if not any(other in build_ for build_ in lacking)
        and all(build_.get(other, frozenset()) <= build_.get(name, frozenset()) or not is_numbered for build_ in builds)
    ]
    apart = [other for other in sure if other.rpartition(".")[0] != name.rpartition(".")[0]]
    return max(apart or sure, key=lambda other: (_count(other, builds), _shared(name, other), other), default=None)


def _lies_beside(other: str, name: str) -> bool:
    """Tell a tensor of a decoder's layers, whose list lies in what holds the module of the tensor ``name``."""
    stack, numbered, _ = other.partition(".#.")
    holder = f"{stack.rpartition('.')[0]}."
    return bool(numbered) and holder != "." and name.startswith(holder) and name.count(".") == holder.count(".") + 1


def _count(name: str, builds: list[Layers]) -> int:
    return sum(len(build_.get(name, ())) for build_ in builds)


def _shared(one: str, other: str) -> int:
    return sum(mine == its for mine, its in zip(one.split("."), other.split("."), strict=False))


if __name__ == "__main__":
    main()
