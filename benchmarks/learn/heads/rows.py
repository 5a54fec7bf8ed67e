"""How a release of vLLM builds the head of an architecture, as a row of `ctq/engines/data/vllm_heads.json`, read in its sources."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.learn.heads.constructors import Constructors
from benchmarks.learn.heads.loads import has_embedding_for_head, skipping_ways
from benchmarks.learn.heads.source_tree import SourceTree
from benchmarks.learn.heads.values import Chosen, Head, Module, Quant, Value, in_name, options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODELS: Final = "vllm.model_executor.models."
REGISTRY: Final = "model_executor/models/registry.py"
LM_HEAD: Final = "lm_head"
INNER: Final = "inner"
PATTERN: Final = re.compile(r".*lm_head$")
"""The target by which heads are dispatched, as vLLM matches it."""
PLAIN: Final = (Quant.GIVEN, "no", "none")
OTHER_USES: Final = ("markov_w2",)
"""Attributes that hold the class of a head and are none: a factor of DSpark's Markov chain."""


class HeadRow(NamedTuple):
    """Prefix, quantization config, dispatch and tie, as `ctq.engines.vllm_models.heads.HeadSupport` has them."""

    prefix: str | None
    quant_config: str | None
    dispatch: bool | str | None
    tie: str


class Place(NamedTuple):
    """A head that was found: the modules that it lies in, from the outermost, its attribute in the last, and the head."""

    modules: tuple[Module, ...]
    attribute: str
    head: Head | Chosen


def rows_of(root: Path) -> dict[str, HeadRow]:
    """Return the rows of every architecture that a release registers; ``root`` is its package's folder."""
    registered = registered_classes((root / REGISTRY).read_text())
    tree = SourceTree(root)
    constructors = Constructors(tree, registered)
    return {name: _row(constructors, name) for name in sorted(registered)}


def registered_classes(registry: str) -> dict[str, tuple[str, str]]:
    """Return in which module which class is, for each architecture of vLLM's registry, its Transformers backend among them."""
    found = {}
    for node in ast.parse(registry).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Tuple):
                    module, cls = (str(ast.literal_eval(entry)) for entry in value.elts[:2])
                    found[str(key.value)] = (module if "." in module else MODELS + module, cls)
    return found


def _row(constructors: Constructors, architecture: str) -> HeadRow:
    built = [one for one in options(constructors.built(architecture)) if isinstance(one, Module)]
    places = [place for one in built for place in heads_in([one])]
    if not places:
        cls = constructors.tree.meaning(*constructors.registered[architecture])
        is_embedding = cls is not None and has_embedding_for_head(constructors.tree, cls)
        return HeadRow(None, None, None, "embed_as_head" if is_embedding else "")
    named = [place for place in places if isinstance(place.head, Head)]  # rather than what the config may choose beside
    rows = list(dict.fromkeys(_row_of(constructors.tree, place) for place in named or places))
    if len(rows) > 1:
        print(f"{architecture}: the first of {[[*row] for row in rows]}")
    return rows[0]


def _row_of(tree: SourceTree, place: Place) -> HeadRow:
    head = place.head
    if isinstance(head, Chosen):
        return HeadRow(f"{in_name(head.prefix)}.{LM_HEAD}".removeprefix("."), INNER, INNER, INNER)
    ways = [way if owner is head.owner else f"wrapper:{way}" for way, owner in head.ties]
    for module in reversed(place.modules):
        mark = "" if module is place.modules[-1] else "wrapper:"
        ways += [mark + way for way in skipping_ways(tree, module.cls, {LM_HEAD, place.attribute})]
    prefix, quant = in_name(head.prefix), quant_of(head.quant)
    is_dispatched = quant in ("yes", "conditional") and PATTERN.match(prefix) is not None
    return HeadRow(prefix, quant, is_dispatched, "+".join(dict.fromkeys(ways)) or "ignored")


def quant_of(value: Value) -> str:
    """Return whether the quantization config reaches a head that is given a value for it: conditional is all that is not plain."""
    [word, *others] = {"none" if one is None else str(one) for one in options(value)}
    return word if word in PLAIN and not others else "conditional"


def heads_in(modules: list[Module]) -> list[Place]:
    """Return the heads that the last of some modules may have, each of which has the next: its own before those inside others."""
    held = sorted(modules[-1].attributes.items(), key=lambda item: item[0] != LM_HEAD)
    values = [(name, [*_each(value)]) for name, value in held if name not in OTHER_USES]
    for name, some in values:
        own = [one for one in some if isinstance(one, Head) and not one.is_left_out]
        if own:
            return [Place(tuple(modules), name, one) for one in own]
    for name, some in values:
        inside = [place for one in some for place in _inside(modules, name, one)]
        if inside:
            return inside
    return []


def _inside(modules: list[Module], name: str, value: Value) -> list[Place]:
    if isinstance(value, Chosen):
        return [Place(tuple(modules), name, value)]
    return heads_in([*modules, value]) if isinstance(value, Module) and value not in modules else []


def _each(value: Value) -> Iterator[Value]:
    for one in options(value):
        if isinstance(one, list):
            for entry in one:
                yield from _each(entry)
        else:
            yield one
