"""All tensors of a checkpoint in one pass, as sets of alike modules.

A large model has a hundred thousand tensors and a hundred kinds of module. Everything after this pass works on the kinds: modules
whose names differ only in layer and expert numbers, and whose parts have the same dtypes and shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ctq.checkpoint.dtypes import DTYPES
from ctq.inspect.parts import PARTS, WEIGHT_PARTS, split_odd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctq.checkpoint.header import TensorInfo

NUMBER = "#"
"""What stands for a number in a template."""
_LAYER_LISTS = frozenset({"layers", "h", "blocks"})


class Part(NamedTuple):
    """One tensor that each module of a set has."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return prod(self.shape) * DTYPES[self.dtype].bits // 8


@dataclass(frozen=True, slots=True)
class ModuleSet:
    """Modules alike in everything but the numbers in their names.

    ``template`` has ``#`` for each number; ``numbers`` holds those of each name in ``names``, in order.
    """

    template: str
    names: tuple[str, ...]
    numbers: tuple[tuple[int, ...], ...]
    parts: Mapping[str, Part]

    @property
    def leaf(self) -> str:
        """The last word of the name, numbers aside."""
        return next((word for word in reversed(self.template.split(".")) if word != NUMBER), self.template)

    @property
    def count(self) -> int:
        """How many modules."""
        return len(self.names)

    @property
    def nbytes_each(self) -> int:
        """Bytes of one module's tensors."""
        return sum(part.nbytes for part in self.parts.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors of the set."""
        return self.nbytes_each * len(self.names)

    def tensor_names(self, module: str) -> list[str]:
        """Return the tensors of one module, as the files call them."""
        return [f"{module}.{part}" if part else module for part in self.parts]


class _Place(NamedTuple):
    """A prefix of names: its template, its numbers, and whether it lies in a layer beyond the model's own."""

    template: str
    numbers: tuple[int, ...]
    beyond: bool


def group_modules(tensors: Mapping[str, TensorInfo], *, layers: int | None = None) -> list[ModuleSet]:
    """Group tensors into sets of alike modules, in the order of the files.

    Layers numbered ``layers`` and up (draft layers) make sets of their own.
    """
    places: dict[str, _Place] = {"": _Place("", (), False)}  # noqa: FBT003  # a row of a table
    found: dict[tuple[object, ...], tuple[list[str], list[tuple[int, ...]], list[object]]] = {}
    for module, flat in _flat_parts(tensors).items():
        parent, _, leaf = module.rpartition(".")
        place = places.get(parent) or _place(parent, places, layers)
        numbers = place.numbers
        if leaf.isdecimal():
            place = places.get(module) or _place(module, places, layers)
            key = (place.template, place.beyond, *flat)
            numbers = place.numbers
        else:
            key = (place.template, leaf, place.beyond, *flat)
        entry = found.get(key)
        if entry is None:
            template = place.template if leaf.isdecimal() else f"{place.template}.{leaf}" if parent else leaf
            found[key] = ([module], [numbers], [template, place.beyond, *flat])
        else:
            entry[0].append(module)
            entry[1].append(numbers)
    return list(_merged(found.values()))


def _flat_parts(tensors: Mapping[str, TensorInfo]) -> dict[str, list[object]]:
    """Return part, dtype, shape, part, dtype, shape, ... of each module: the hottest loop of inspection."""
    flat: dict[str, list[object]] = {}
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        if part not in PARTS or not module:
            module, part = split_odd(name)
        entry = flat.get(module)
        if entry is None:
            flat[module] = [part, tensor[1], tensor[2]]
        else:
            entry += (part, tensor[1], tensor[2])
    return flat


def _place(path: str, places: dict[str, _Place], layers: int | None) -> _Place:
    parent, _, word = path.rpartition(".")
    above = places.get(parent) or _place(parent, places, layers)
    dot = "." if parent else ""
    if word.isdecimal() and len(word) <= 9:  # a longer one is a name, not a number
        number = int(word)
        beyond = above.beyond or (layers is not None and number >= layers and _is_layer_list(above.template))
        place = _Place(f"{above.template}{dot}{NUMBER}", (*above.numbers, number), beyond)
    else:
        place = _Place(f"{above.template}{dot}{word}", above.numbers, above.beyond)
    places[path] = place
    return place


def _part_rank(part: str) -> tuple[int, str]:
    """Order parts for people: the weight first."""
    return WEIGHT_PARTS.index(part) if part in WEIGHT_PARTS else len(WEIGHT_PARTS), part


def _is_layer_list(template: str) -> bool:
    return NUMBER not in template and template.rpartition(".")[2] in _LAYER_LISTS


def _merged(entries: Iterable[tuple[list[str], list[tuple[int, ...]], list[object]]]) -> Iterable[ModuleSet]:
    """Make the sets; entries that differ only in the order of their parts (as files sort them) are one."""
    merged: dict[object, tuple[list[str], list[tuple[int, ...]], str, dict[str, Part]]] = {}
    for names, numbers, (template, beyond, *flat) in entries:
        parts = {str(flat[i]): Part(flat[i + 1], flat[i + 2]) for i in range(0, len(flat), 3)}  # type: ignore[arg-type]
        parts = {part: parts[part] for part in sorted(parts, key=_part_rank)}
        same = merged.setdefault((template, beyond, frozenset(parts.items())), ([], [], str(template), parts))
        same[0].extend(names)
        same[1].extend(numbers)
    for names, numbers, template, parts in merged.values():
        yield ModuleSet(template, tuple(names), tuple(numbers), parts)
