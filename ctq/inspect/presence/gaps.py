"""Finding what is not there: layers, experts and modules that their neighbours say should exist."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ctq.engines.skeletons.filled import FILLED
from ctq.engines.skeletons.layer_counts import stated_layers
from ctq.engines.skeletons.layer_numbers import layers_with
from ctq.inspect.facts.defects import BODY_LINEARS
from ctq.inspect.presence.strangers import is_stranger
from ctq.recipe.kinds import BESIDE, EXPERT_COUNTS, Kind
from ctq.recipe.stack import LAYER_LISTS
from ctq.recipe.template import EXPERTS, NUMBER, numbered, stack_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.modules.grouping import ModuleSet

_EXPERT = f"{EXPERTS}{NUMBER}"
_ENCODERS = frozenset({"encoder", "decoder"})


def missing_layers(facts: Facts) -> Iterator[str]:
    """Yield decoder layers that ``num_hidden_layers`` or a list of all layers promises and no module belongs to.

    Where half of them are missing the number means something else.
    """
    count, stacks = stated_layers(facts.config), _stacks(facts)
    if count is None or len(stacks) != 1:
        return
    [(stack, present)] = stacks.items()
    if len(present) * 2 > count:
        yield from (f"{stack}.{number}" for number in range(count) if number not in present)


def _stacks(facts: Facts) -> dict[str, set[int]]:
    """Return the numbers of the layers that are there, by the name of their list."""
    stacks: dict[str, set[int]] = defaultdict(set)
    for entry in facts.entries:
        before, found, _ = entry.modules.template.partition(f".{NUMBER}.")
        words = before.split(".")
        if not found or not entry.modules.depth or words[-1] not in LAYER_LISTS or entry.kind in BESIDE:
            continue
        if not _ENCODERS & set(words):
            stacks[before].update(numbers[0] for numbers in entry.modules.numbers)
    return stacks


def missing_experts(facts: Facts) -> Iterator[str]:
    """Yield parts of experts that other parts of the same expert or its neighbours show to be missing.

    Layers may have fewer experts than others: a gap counts, an early end does not, unless one layer alone has it, or its router
    chooses among as many as the config promises. Experts beyond that number have a rule of their own.
    """
    config = facts.config
    promised = max(config.text_int(key) or 0 for key in EXPERT_COUNTS)
    by_template = _parts_of_experts(facts)
    ends = _last_experts(by_template)
    routed = _routed_layers(facts, promised)
    for template, sets in by_template.items():
        last_of = {
            layer: max(last, promised - 1) if (_owner(template), layer) in routed else last
            for layer, last in ends[_owner(template)].items()
        }
        most = max(last_of.values())
        if _is_complete(sets, most):
            continue
        experts = _experts(sets)
        all_but_one = sum(last == most for last in last_of.values()) >= len(last_of) - 1
        for layer, present in sorted(experts.items()):
            last = most if all_but_one else last_of[layer]
            end = min(last + 1, promised or last + 1)
            missing = (expert for expert in range(end) if expert not in present)
            yield from (numbered(numbered(template, layer), expert) for expert in missing)


def _parts_of_experts(facts: Facts) -> dict[str, list[ModuleSet]]:
    """Return the modules of single experts by template, without those that the architecture does not have."""
    skeleton = facts.skeleton
    strange = {
        entry.modules.template
        for entry in facts.entries
        if skeleton is not None and _EXPERT in entry.modules.template and is_stranger(entry, skeleton, facts)
    }
    known = _by_template(facts, numbers=2).items()
    return {name: sets for name, sets in known if _EXPERT in name and name not in strange}


def _routed_layers(facts: Facts, promised: int) -> set[tuple[str, int]]:
    """Return the layers whose router has a row for each expert that the config promises, by what the experts lie in."""
    return {
        (owner, numbers[0])
        for entry in facts.entries
        if entry.kind is Kind.ROUTER and entry.modules.depth == 1
        if promised and any(part.shape[:1] == (promised,) for part in entry.modules.parts.values())
        for owner in _parents(entry.modules.template)
        for numbers in entry.modules.numbers
    }


def _parents(template: str) -> tuple[str, str]:
    """Return what a module lies in, and what that lies in (`mlp` of `mlp.router.layer`)."""
    parent = template.rpartition(".")[0]
    return parent, parent.rpartition(".")[0]


def _owner(template: str) -> str:
    return template.partition(EXPERTS)[0]


def _last_experts(by_template: Mapping[str, list[ModuleSet]]) -> dict[str, dict[int, int]]:
    """Return the last expert that any part of each layer's experts has, by what the experts lie in."""
    ends: dict[str, dict[int, int]] = defaultdict(dict)
    for template, sets in by_template.items():
        found = ends[_owner(template)]
        for layer, present in _experts(sets).items():
            found[layer] = max(found.get(layer, 0), *present)
    return ends


def _experts(sets: list[ModuleSet]) -> dict[int, set[int]]:
    """Return the experts that each layer has."""
    experts: dict[int, set[int]] = defaultdict(set)
    for modules in sets:
        for layer, expert in modules.numbers:
            experts[layer].add(expert)
    return experts


def _is_complete(sets: list[ModuleSet], most: int) -> bool:
    layers, experts = map(set, zip(*(numbers for modules in sets for numbers in modules.numbers), strict=True))
    counted_from_zero = len(experts) == most + 1
    return counted_from_zero and len(layers) * len(experts) == sum(modules.count for modules in sets)


def missing_modules(facts: Facts) -> Iterator[str]:
    """Yield modules that one layer alone lacks, as a well-known linear layer or in the middle of the model."""
    by_layer, templates = _by_layer(facts)
    having = _layers_with(facts)
    alike = Counter(frozenset(present) for present in by_layer.values())
    by_size: dict[int, list[frozenset[str]]] = defaultdict(list)
    for kind in alike:
        by_size[len(kind)].append(kind)
    for (_, number), present in sorted(by_layer.items()):
        if alike[frozenset(present)] > 1:  # a kind of layer of its own, not damage
            continue
        more = (kind - present for kind in by_size.get(len(present) + 1, ()) if present < kind)
        lost = (template for [template] in more if number in having.get(template, {number}))
        template = next((template for template in lost if not template.endswith(FILLED)), None)
        if template is not None and _is_sure(template, templates[template], number, len(by_layer)):
            yield numbered(template, number)


def _by_layer(facts: Facts) -> tuple[dict[tuple[str, int], set[str]], Counter[str]]:
    """Return which templates each layer has, and in how many layers each template occurs."""
    by_layer: dict[tuple[str, int], set[str]] = defaultdict(set)
    templates: Counter[str] = Counter()
    for template, sets in _by_template(facts, numbers=1).items():
        stack = stack_of(template)
        for modules in sets:
            for numbers in modules.numbers:
                by_layer[stack, numbers[0]].add(template)
        templates[template] = sum(modules.count for modules in sets)
    return by_layer, templates


def _layers_with(facts: Facts) -> Mapping[str, frozenset[int]]:
    """Return the layers that have each weight which the architecture has in layers of some kinds alone, where that is known."""
    skeleton = facts.skeleton
    known = layers_with(facts.config, skeleton) if skeleton is not None else {}
    return {
        f"{stack}.{NUMBER}.{name.removesuffix('.weight')}": layers
        for stack in (skeleton.stacks if skeleton is not None else ())
        for name, layers in known.items()
    }


def _is_sure(template: str, count: int, layer: int, layers: int) -> bool:
    """Trust a gap in a well-known linear layer, or in the middle of the model where all other layers have the module."""
    return template.rpartition(".")[2] in BODY_LINEARS or (count == layers - 1 and 0 < layer < layers - 1)


def _by_template(facts: Facts, *, numbers: int) -> dict[str, list[ModuleSet]]:
    sets: dict[str, list[ModuleSet]] = defaultdict(list)
    for entry in facts.entries:
        if entry.modules.depth == numbers and entry.kind is not Kind.DRAFT:
            sets[entry.modules.template].append(entry.modules)
    return sets
