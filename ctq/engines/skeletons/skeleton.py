"""What a skeleton is: the tensors of one architecture by template, with their dimensions and where they lie."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ctq.recipe.experts import PROJECTIONS_HELD
from ctq.recipe.stack import ENCODER_LIST, LAYER_LISTS
from ctq.recipe.template import inside_layer, stack_of, template_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.engines.configs.towers import TowerList

_TOWER = re.compile(r"vis|audio|image")
_EXPERT = re.compile(r"(?P<block>.+)\.experts\.#\.(?P<part>gate_proj|up_proj|down_proj)\.weight")
_STACKS = tuple(name for name, parts in PROJECTIONS_HELD.items() if "gate_proj" in parts)
"""What holds the gates and ups of all experts of a block in one tensor."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One tensor of a skeleton: whether all layers have it in every variant, and its dimensions (None: not known).

    ``beside`` is another tensor of the same layers: where that is, this one is never missing.
    """

    always: bool
    dimensions: tuple[str | None, ...] | None
    beside: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Towers:
    """What is known of the towers beside a text model: of the tensors that lie in lists, and of those that a switch brings.

    ``lists`` are their lists of layers, ``numbered`` tensors of other lists with their numbers and ``sizes`` the dimensions of each
    of those by its own name; ``switched`` are the tensors that a switch of the config brings, with its value.
    """

    lists: Mapping[str, TowerList] = field(default_factory=dict)
    numbered: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sizes: Mapping[str, tuple[str | None, ...] | None] = field(default_factory=dict)
    switched: Mapping[str, tuple[str, bool]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The tensors of one architecture by template; ``refuses`` are the places where vLLM refuses an unknown one.

    ``inner`` is the model type of the text model inside a wrapper; ``computed`` are numbers
    that the config works out where a file leaves them out. ``embedding`` tells whether vLLM gives the input embedding a name.
    Of a wrapper of which only the text model is known, ``others`` are the first words of the places of its other parts.
    Where a wrapper holds a text model of its own, ``text`` is that one's architecture, and ``moved`` are the names of its tensors.
    ``relative_inside`` says that tensors of the text model may be called as inside its body (`layers.0` for `model.layers.0`).
    ``tower_from`` is the wrapper that was learnt with the tower that this one has.
    """

    architecture: str
    tensors: Mapping[str, Slot]
    refuses: frozenset[str]
    inner: str | None
    computed: frozenset[str]
    embedding: bool | None = None
    towers: Towers = field(default_factory=Towers)
    others: frozenset[str] = frozenset()
    text: str | None = None
    moved: Mapping[str, str] = field(default_factory=dict)
    relative_inside: bool = False
    tower_from: str | None = None

    @property
    def wrapped(self) -> bool:
        """Whether a text model lies inside."""
        return self.inner is not None

    @cached_property
    def suffixes(self) -> frozenset[str]:
        """What stands behind the number of a layer, in any list of layers."""
        return frozenset(inside_layer(name) for name in self.tensors if ".#." in name)

    def with_other_towers(self) -> Skeleton:
        """Return the skeleton without what is made of the learnt towers' configs: sizes, and how long lists are."""
        tensors = {name: replace(slot, dimensions=_of_text(slot.dimensions)) for name, slot in self.tensors.items()}
        sizes = {name: _of_text(dimensions) for name, dimensions in self.towers.sizes.items()}
        return replace(self, tensors=tensors, towers=Towers(sizes=sizes, switched=self.towers.switched))

    def with_towers_of(self, other: Skeleton, root: str) -> Skeleton:
        """Return the skeleton with what lies in ``root`` as another wrapper has it there, whose tower is of this one's type."""

        def mixed(own: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
            kept = {name: value for name, value in own.items() if not name.startswith(f"{root}.")}
            return kept | {name: value for name, value in others.items() if name.startswith(f"{root}.")}

        mine, theirs = self.towers, other.towers
        towers = Towers(
            lists=mixed(mine.lists, theirs.lists),
            numbered=mixed(mine.numbered, theirs.numbered),
            sizes=mixed(mine.sizes, theirs.sizes),
            switched=mixed(mine.switched, theirs.switched),
        )
        return replace(self, tensors=mixed(self.tensors, other.tensors), towers=towers, tower_from=other.architecture)

    def is_of_text(self, tensor: str) -> bool:
        """Tell a tensor of the text model, by its template, from what belongs to a wrapper's other parts."""
        return not self.wrapped or (self.stack is not None and tensor.startswith(self.stack.rpartition(".")[0]))

    def knows(self, tensor: str) -> bool:
        """Tell whether the architecture has a tensor of this name, in whatever form its weight is stored."""
        module, _, part = template_of(tensor).rpartition(".")
        name = f"{module}.weight" if part.startswith("weight") else f"{module}.{part}" if module else part
        return name in self.tensors or module in self.tensors

    def slot(self, tensor: str) -> Slot | None:
        """Return the slot of a tensor by its template; an expert alone has that of its share of the tensor of all experts."""
        found, expert = self.tensors.get(tensor), _EXPERT.fullmatch(tensor)
        if found is not None or expert is None:
            return found
        stacks = (self.tensors.get(f"{expert['block']}.{stack}") for stack in _STACKS)
        sizes = next((slot.dimensions for slot in stacks if slot is not None and slot.dimensions), ())
        doubled = [size for size in sizes[1:] if size is not None and size.startswith("2*")]
        if len(sizes) != 3 or len(doubled) != 1:  # experts, gates and ups, columns: in either order
            return None
        rows, columns = doubled[0].removeprefix("2*"), next(size for size in sizes[1:] if size != doubled[0])
        return Slot(always=False, dimensions=(columns, rows) if expert["part"] == "down_proj" else (rows, columns))

    @property
    def stack(self) -> str | None:
        """The list of the decoder's layers, where there is one alone."""
        return self.stacks[0] if len(self.stacks) == 1 else None

    @cached_property
    def stacks(self) -> tuple[str, ...]:
        """The lists of the decoder's layers: several where a model runs through each of them (HRM)."""
        of_text = self.moved.values() if self.moved else self.tensors
        lists = {stack_of(name) for name in of_text if ".#." in name} - self.towers.lists.keys()
        found = sorted(path for path in lists if path.rpartition(".")[2] in LAYER_LISTS and not _TOWER.search(path))
        if not found and not self.wrapped:
            found = sorted(path for path in lists if path.rpartition(".")[2] == ENCODER_LIST)
        return tuple(found)


def _of_text(dimensions: tuple[str | None, ...] | None) -> tuple[str | None, ...] | None:
    """Return dimensions without those that a dotted key of a tower's config makes."""
    return tuple(None if size and "." in size else size for size in dimensions) if dimensions is not None else None
