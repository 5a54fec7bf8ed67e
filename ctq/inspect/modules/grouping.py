"""All tensors of a checkpoint in one pass, as sets of alike modules.

A large model has a hundred thousand tensors and a hundred kinds of module. Everything after this pass works on the kinds: modules
whose names differ only in layer and expert numbers, and whose parts have the same dtypes and shapes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ctq.checkpoint.dtypes import DTYPES
from ctq.inspect.modules.parts import PARTS, WEIGHT_PARTS, split_odd
from ctq.recipe.stack import ENCODER_LIST, LAYER_LISTS
from ctq.recipe.template import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ctq.checkpoint.header import TensorInfo

_NO_NUMBER = NUMBER * 2
"""What stands for a word that is spelt like that."""
_DIGITS = 9


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
    def depth(self) -> int:
        """How many numbers each name has: 1 for a layer's module, 2 for an expert's."""
        return len(self.numbers[0])

    @property
    def nbytes_each(self) -> int:
        """Bytes of one module's tensors."""
        return sum(part.nbytes for part in self.parts.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors of the set."""
        return self.nbytes_each * len(self.names)

    @property
    def weight(self) -> Part | None:
        """The weight, or its codes where they are packed; None where it has another name or is not there."""
        return self.parts.get("weight") or self.parts.get("weight_packed")

    @property
    def first_tensors(self) -> list[str]:
        """The tensors of the first module, as the files call them."""
        module = self.names[0]
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
    found: dict[tuple[object, ...], tuple[list[str], list[tuple[int, ...]]]] = {}
    flat, numbers = _flat_parts(tensors, layers)
    for (module, entry), place in zip(flat.items(), numbers, strict=True):
        key = tuple(entry)
        alike = found.get(key)
        if alike is None:
            found[key] = ([module], [place])
        else:
            alike[0].append(module)
            alike[1].append(place)
    return list(_merged(found))


def _flat_parts(
    tensors: Mapping[str, TensorInfo], layers: int | None
) -> tuple[dict[str, list[object]], list[tuple[int, ...]]]:
    """Return what sets a module apart (its template in two pieces, whether it lies beyond, part, dtype, shape, part, ...).

    The second value has the numbers in each module's name. This is the hottest loop of inspection: one pass, few objects.
    """
    places: dict[str, _Place] = {"": _Place("", (), False)}  # noqa: FBT003  # a row of a table
    flat: dict[str, list[object]] = {}
    numbers: list[tuple[int, ...]] = []
    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        if part not in PARTS or not module:
            module, part = split_odd(name)
        entry = flat.get(module)
        if entry is not None:
            entry += (part, tensor[1], tensor[2])
            continue
        parent, _, leaf = module.rpartition(".")
        place = places.get(parent) or _place(parent, places, layers)
        if leaf.isdecimal() and _is_number(leaf):
            place, leaf = _place(module, places, layers), ""
        elif leaf == NUMBER:
            leaf = _NO_NUMBER
        flat[module] = [place[0], leaf, place[2], part, tensor[1], tensor[2]]
        numbers.append(place[1])
    return flat, numbers


def _place(path: str, places: dict[str, _Place], layers: int | None) -> _Place:
    parent, _, word = path.rpartition(".")
    above = places.get(parent) or _place(parent, places, layers)
    dot = "." if parent else ""
    if word.isdecimal() and _is_number(word):
        number = int(word)
        beyond = above.beyond or (layers is not None and number >= layers and _is_layer_list(above.template))
        place = _Place(f"{above.template}{dot}{NUMBER}", (*above.numbers, number), beyond)
    else:
        word = _NO_NUMBER if word == NUMBER else word
        place = _Place(f"{above.template}{dot}{word}", above.numbers, above.beyond)
    places[path] = place
    return place


def _is_number(digits: str) -> bool:
    """Tell a number from a name made of digits: a longer one, or one with a zero before it, which no engine writes."""
    return len(digits) <= _DIGITS and (digits[0] != "0" or digits == "0")


def _part_rank(part: str) -> tuple[int, str]:
    """Order parts for people: the weight first."""
    return WEIGHT_PARTS.index(part) if part in WEIGHT_PARTS else len(WEIGHT_PARTS), part


def _is_layer_list(template: str) -> bool:
    return NUMBER not in template and template.rpartition(".")[2] in (*LAYER_LISTS, ENCODER_LIST)


def _merged(found: Mapping[tuple[object, ...], tuple[list[str], list[tuple[int, ...]]]]) -> Iterable[ModuleSet]:
    """Make the sets; modules that differ only in the order of their parts (as files sort them) are alike."""
    merged: dict[object, tuple[list[str], list[tuple[int, ...]], str, dict[str, Part]]] = {}
    for (template, leaf, beyond, *flat), (names, numbers) in found.items():
        parts = {str(flat[i]): Part(flat[i + 1], flat[i + 2]) for i in range(0, len(flat), 3)}  # type: ignore[arg-type]
        parts = {part: parts[part] for part in sorted(parts, key=_part_rank)}
        full = f"{template}.{leaf}" if template and leaf else str(template or leaf)
        same = merged.setdefault((full, beyond, frozenset(parts.items())), ([], [], full, parts))
        same[0].extend(names)
        same[1].extend(numbers)
    for names, numbers, full, parts in merged.values():
        yield ModuleSet(full, tuple(names), tuple(numbers), parts)
