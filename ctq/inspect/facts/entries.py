"""What each set of alike modules is, how it is stored, and what the quantization config says of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from ctq.checkpoint.header import TensorInfo
from ctq.inspect.modules.forms import COMPRESSED, Form, describe
from ctq.inspect.modules.parts import CACHE_PARTS
from ctq.inspect.modules.patterns import Match, PatternList
from ctq.recipe.classify import Classifier
from ctq.recipe.heads import ENGINE_CLASS
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctq.checkpoint.config import ModelConfig
    from ctq.inspect.facts.diagnosis import Diagnosis
    from ctq.inspect.modules.forms import Stored
    from ctq.inspect.modules.grouping import ModuleSet
    from ctq.recipe.quant_config import ConfigGroup, QuantConfig
    from ctq.recipe.schemes import QuantArgs

CLASS_NAMES: Mapping[Kind, tuple[str, ...]] = {
    Kind.LINEAR: ("Linear",),
    Kind.ROUTER: ("Linear",),
    Kind.TOWER: ("Linear",),
    Kind.PROJECTOR: ("Linear",),
    Kind.DRAFT: ("Linear",),
    Kind.LOW_RANK: ("Linear",),
    Kind.CLASSIFIER: ("Linear",),
    Kind.STATE_SPACE: ("Linear",),
    Kind.EMBEDDING: ("Embedding",),
    Kind.TRANSPOSED: ("Conv1D", "Linear"),
}
"""The class that a matrix of each kind has in transformers, as far as names and shapes can tell, and in engines (GPT-2's)."""
HEAD_CLASSES = ("Linear",)
KNOWN_CLASSES = frozenset({"Linear", "Embedding", "Conv1D", ENGINE_CLASS})
"""Class targets that inspection can judge; what other class names would match, headers cannot tell."""


class State(StrEnum):
    """What a module is: the files against the config."""

    QUANTIZED = "quantized"
    DENSE = "dense"
    TIED = "tied"
    ABSENT = "absent"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One set of modules that are alike in the files and that the config treats alike.

    ``group`` is the config group of the target that matches; ``diagnosis`` the first thing that is wrong with the modules.
    """

    modules: ModuleSet
    kind: Kind
    is_head: bool
    stored: Stored
    match: Match
    group: ConfigGroup | None
    format: str | None
    diagnosis: Diagnosis | None = None

    @property
    def by_name(self) -> bool:
        """Whether the target that matches is a name or a pattern rather than a class."""
        return self.match.target is not None and self.match.target not in KNOWN_CLASSES

    @property
    def weights(self) -> QuantArgs | None:
        """What the config declares of the weights, where a target matches."""
        return self.group.weights if self.group is not None else None

    @property
    def activations(self) -> QuantArgs | None:
        """What the config declares of the activations, where a target matches; None where they stay floats."""
        return self.group.activations if self.group is not None else None

    @property
    def state(self) -> State:
        """The state of these modules."""
        if self.diagnosis is not None and self.diagnosis.breaks:
            return State.BROKEN
        return State.QUANTIZED if self.stored.is_quantized else State.DENSE


@dataclass(frozen=True, slots=True)
class Patterns:
    """The patterns of a quantization config, what became of them, and the config group of each target."""

    targets: PatternList
    ignore: PatternList
    owners: Mapping[str, str]


def find_entries(
    sets: Sequence[ModuleSet], config: ModelConfig, quant: QuantConfig | None, *, head: str | None
) -> tuple[list[Entry], Patterns]:
    """Say of every set what it is, how it is stored and what the config says; ``head`` is the head's module name."""
    compressed = quant if quant is not None and quant.is_compressed_tensors else None
    patterns = Patterns(
        targets=PatternList(compressed.targets if compressed else ()),
        ignore=PatternList(compressed.ignore if compressed else ()),
        owners={target: group.name for group in compressed.groups for target in group.targets} if compressed else {},
    )
    classifier = Classifier(config, list(_telling(sets)))
    entries = []
    for modules in sets:
        kind, is_head = _kind(modules, classifier), modules.names[0] == head
        classes = HEAD_CLASSES if is_head else CLASS_NAMES.get(kind, ())
        for match, part in _matched(modules, classes, patterns):
            said = _declared(part, match, compressed, columns=config.hidden_size if is_head else None)
            entries.append(
                Entry(
                    modules=part,
                    kind=kind,
                    is_head=is_head,
                    stored=said.stored,
                    match=match,
                    group=said.group,
                    format=said.format,
                )
            )
    return entries, patterns


def _telling(sets: Sequence[ModuleSet]) -> Iterator[str]:
    """Yield names enough to tell where the language model lies, and every mixer of the first Mamba: its x_proj tells it."""
    for modules in sets:
        for name in modules.names if modules.leaf == "x_proj" else modules.names[:1]:
            yield f"{name}.weight"


def _kind(modules: ModuleSet, classifier: Classifier) -> Kind:
    """Classify as if the weight were dense: what a module is does not depend on how it is stored."""
    weight = next(
        (modules.parts[part] for part in ("weight", "weight_packed", "qweight", "") if part in modules.parts), None
    )
    name = modules.names[0]
    if "" in modules.parts and weight is not None:
        return classifier.classify(TensorInfo(name, weight.dtype, weight.shape, 0, 0)).kind
    shape = weight.shape if weight is not None else (0, 0)
    if modules.parts.keys() <= CACHE_PARTS | {"bias"}:
        return Kind.PARAMETER
    return classifier.classify(TensorInfo(f"{name}.weight", "BF16", shape, 0, 0)).kind


def _matched(modules: ModuleSet, classes: Sequence[str], patterns: Patterns) -> Iterator[tuple[Match, ModuleSet]]:
    """Split a set where the config treats its modules differently; which full name of a group matched is no difference."""
    targets = patterns.targets.first(modules.names, classes)
    ignored = patterns.ignore.first(modules.names, classes)
    if len(set(targets)) == len(set(ignored)) == 1:  # nearly always, and the sets may be large
        yield Match(targets[0], ignored[0]), modules
        return
    parts: dict[tuple[str | None, str | None], list[int]] = defaultdict(list)
    for index, name in enumerate(modules.names):
        target, entry = targets[index], ignored[index]
        parts[patterns.owners[name] if target == name else target, "" if entry == name else entry].append(index)
    for indices in parts.values():
        names = tuple(modules.names[i] for i in indices)
        numbers = tuple(modules.numbers[i] for i in indices)
        yield Match(targets[indices[0]], ignored[indices[0]]), replace(modules, names=names, numbers=numbers)


class _Declared(NamedTuple):
    """What the config declares of a set, and how the set is stored in the light of it."""

    stored: Stored
    group: ConfigGroup | None = None
    format: str | None = None


def _declared(modules: ModuleSet, match: Match, quant: QuantConfig | None, *, columns: int | None) -> _Declared:
    """Say what compressed-tensors' config declares; ``columns`` are those of the dense weight, where the config tells them."""
    if quant is None:
        return _Declared(describe(modules.parts, None, None))
    # Of a target that comes again, compressed-tensors and engines take the last group.
    group = next((group for group in reversed(quant.groups) if match.target in group.targets), None)
    args = group.weights if group is not None else None
    if args is None and "weight_packed" in modules.parts:
        # Stored packed, but declared by nobody: the first group's bits are the best guess.
        args = next((other.weights for other in quant.groups if other.weights is not None), None)
    stored = describe(modules.parts, args, columns)
    has_format = stored.form in COMPRESSED | {Form.DENSE}
    return _Declared(stored, group, quant.format_of(group) if group is not None and has_format else None)
