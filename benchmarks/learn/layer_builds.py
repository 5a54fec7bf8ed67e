"""Models whose layers are of several sizes, as vLLM builds them with one value of their config changed, and what moves with it."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mirrored import build_mirrored

from benchmarks.learn.skeletons import read_build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mirrored import Mirrored

Json: TypeAlias = dict[str, Any]
Place: TypeAlias = tuple[int, str, int]
"""A dimension of a tensor of one layer: the layer's number, the tensor's name behind it, and the dimension's."""
Footprint: TypeAlias = frozenset[Place]
COUNT: Final = "num_hidden_layers"
_IN_LAYER: Final = re.compile(r"(?P<stack>.*\blayers)\.(?P<layer>\d+)\.(?P<inside>.+)")
_NUMBER: Final = re.compile(r"(?<=\.)\d+(?=\.)")
_REFUSED: Final = "refused"
"""A file in the folder of a model that the class did not take."""


@dataclass(frozen=True)
class Made:
    """One model: its config and the shapes of its tensors."""

    config: Json
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def count(self) -> int:
        """How many layers it has."""
        return int(self.config[COUNT])

    def in_layers(self) -> Iterator[tuple[int, str, tuple[int, ...]]]:
        """Yield the tensors of layers: the layer, the name behind its number with ``#`` for others, and the shape."""
        for name, shape in self.shapes.items():
            if found := _IN_LAYER.fullmatch(name):
                yield int(found["layer"]), _NUMBER.sub("#", found["inside"]), shape


class Builder:
    """Has vLLM build one row's model with other configs; what its class does not take is None."""

    def __init__(self, row: Mirrored, scratch: Path, python: Path) -> None:
        self._row, self._scratch, self._python = row, scratch / row.name, python
        self._known: dict[str, Made | None] = {}
        build_mirrored([row], self._scratch, python=python)
        config = json.loads((self._scratch / row.name / "config.json").read_text())
        self._row = replace(row, config=config, shrunk=False, remote=False)

    @property
    def config(self) -> Json:
        """The row's own config, as complete as its class has it."""
        return dict(self._row.config)

    @property
    def made(self) -> list[Made]:
        """All models that were built."""
        return [one for one in self._known.values() if one is not None]

    def build(self, configs: Mapping[str, Json]) -> dict[str, Made | None]:
        """Build a model of each config, by what it is called."""
        keys = {name: json.dumps(config, sort_keys=True) for name, config in configs.items()}
        wanted = {key: json.loads(key) for key in keys.values() if key not in self._known}
        rows = [replace(self._row, name=sha256(key.encode()).hexdigest()[:16], config=wanted[key]) for key in wanted]
        unknown = [row for row in rows if not (self._scratch / row.name / _REFUSED).exists()]
        build_mirrored(unknown, self._scratch, python=self._python)
        for row, (key, config) in zip(rows, wanted.items(), strict=True):
            folder = self._scratch / row.name
            there = any(folder.glob("*.safetensors"))
            self._known[key] = Made(config, read_build(folder).shapes) if there else None
            if not there:
                (folder / _REFUSED).touch()
        return {name: self._known[key] for name, key in keys.items()}


def doubled(one: Made | None, other: Made | None) -> Footprint:
    """Return the places of layers where one model is twice as large as another; nothing where they differ in another way too."""
    if one is None or other is None:
        return frozenset()
    mine, its = dict(_sizes(one)), dict(_sizes(other))
    moved = {place for place in mine if mine[place] != its.get(place)}
    alike = mine.keys() == its.keys() and all(its[place] == 2 * mine[place] for place in moved)
    return frozenset(moved) if alike else frozenset()


def _sizes(made: Made) -> Iterator[tuple[Place, int]]:
    for layer, inside, shape in made.in_layers():
        yield from (((layer, inside, axis), size) for axis, size in enumerate(shape))


def layers_of(footprint: Footprint) -> frozenset[int]:
    """Return the layers of places."""
    return frozenset(layer for layer, *_ in footprint)


def axes_of(footprint: Footprint) -> frozenset[tuple[str, int]]:
    """Return the dimensions of places, whatever their layer."""
    return frozenset((inside, axis) for _, inside, axis in footprint)


def numbers_in(value: object, path: str = "") -> Iterator[tuple[str, int]]:
    """Yield the numbers of a config with their dotted paths."""
    if type(value) is int and path:
        yield path, value
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from numbers_in(entry, f"{path}.{key}" if path else str(key))


def with_value(config: Json, path: str, value: object) -> Json:
    """Return a config with another value at a dotted path."""
    changed = copy.deepcopy(config)
    level: Any = changed
    *words, last = path.split(".")
    for word in words:
        level = level[int(word) if isinstance(level, list) else word]
    level[int(last) if isinstance(level, list) else last] = value
    return changed


def without(config: Json, path: str) -> Json:
    """Return a config that states nothing at a dotted path."""
    changed = copy.deepcopy(config)
    level: Any = changed
    *words, last = path.split(".")
    for word in words:
        level = level[int(word) if isinstance(level, list) else word]
    level.pop(int(last) if isinstance(level, list) else last)
    return changed
