"""What the files lack or have too many of beside a wrapper's text model, where its towers are the ones that were learnt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.tower_fields import towers_of
from ctq.engines.configs.towers import is_switched_on, layers_needed, tower_number
from ctq.engines.skeletons.engine_places import lies_in, own_name
from ctq.engines.skeletons.find import borrowing_wrappers
from ctq.engines.skeletons.tower_strangers import ANY_IS_REFUSED, NONE_IS_REFUSED, strangers_of
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.inspect.presence.stands_for import HEAD, dense_tensors, fused_tensors
from ctq.recipe.kinds import OTHER_PARTS
from ctq.recipe.template import NUMBER, inside_layer, numbered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ctq.engines.skeletons.skeleton import Skeleton, Slot
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.presence.survey import Survey


_VISION_MODEL = ".vision_model."
_IN_VISION_MODEL = frozenset({"clip_vision_model", "siglip_vision_model"})


def lacking(asked: Survey) -> Iterator[str]:
    """Yield what the files lack of tensors that every build has, by their names and not by others that vLLM may take as well.

    Beside names of no build, what all layers lack may be fused or apart as no build has it, and a whole part may be called
    otherwise; what one layer alone lacks, or little of what lies outside layers, is lost or called wrong.
    """
    towers = asked.skeleton.towers
    if not (towers.lists or towers.numbered):
        return
    needed = [name for name, slot in asked.skeleton.tensors.items() if is_needed(name, slot, asked)]
    lost = {name: [*_lost(name, asked)] for name in needed}
    is_strange = any(lost.values()) and _has_others(asked.facts, asked.skeleton)
    absent = [name for name in needed if NUMBER not in name and name not in asked.present]
    is_called_otherwise = 2 * len(absent) > sum(NUMBER not in name for name in needed)
    for name, names in lost.items():
        if not is_strange or (bool(asked.layers(name)) if NUMBER in name else not is_called_otherwise):
            yield from names


def is_needed(name: str, slot: Slot, asked: Survey) -> bool:
    """Tell a tensor beside the text model that every build has; of one that comes with a switch, whether vLLM needs it."""
    if asked.skeleton.is_of_text(name) or name.endswith(HEAD):
        return False
    usual = slot.always and is_switched_on(asked.skeleton.towers.switched.get(name), asked.config)
    return asked.switched.get(name, usual)


def _lost(name: str, asked: Survey) -> Iterator[str]:
    if NUMBER not in name and name not in asked.present:
        yield name
    yield from (numbered(name, layer) for layer in _numbers_needed(name, asked) if layer not in asked.layers(name))


def _has_others(facts: Facts, skeleton: Skeleton) -> bool:
    known = (
        any(
            own_name(skeleton, name) in skeleton.tensors
            for name in (*dense_tensors(entry), *fused_tensors(entry, skeleton, facts))
        )
        for entry in facts.entries
        if entry.kind in OTHER_PARTS
    )
    return not all(known)


def _numbers_needed(name: str, asked: Survey) -> Iterable[int]:
    """Return the numbers under which a tensor of a list is needed: those of all layers, of what is there, or always the same."""
    stack, towers = name.partition(f".{NUMBER}")[0], asked.skeleton.towers
    if NUMBER not in name or name in towers.numbered:
        return towers.numbered.get(name, ())
    known = towers.lists.get(stack)
    layers = layers_needed(known, asked.config) if known is not None else None
    if layers is not None:
        return layers
    beside = (found for other, found in asked.present.items() if other.startswith(f"{stack}.{NUMBER}"))
    return sorted(frozenset[int]().union(*beside))


def is_beyond_tower(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules of layers that a tower's config does not count, where vLLM refuses those."""
    for stack, one in skeleton.towers.lists.items():
        if one.refuses and lies_in(skeleton, entry.modules.template, stack):
            count = tower_number(facts.config, one.count)
            return count is not None and max(numbers[0] for numbers in entry.modules.numbers) >= count
    return False


def is_beside_vision_model(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules of a CLIP or SigLIP tower that lie beside its ``vision_model``, in which vLLM's classes of both hold all of it.

    transformers 5 saves them so, and vLLM's Transformers backend builds transformers' own. Source: vLLM 0.32.0
    ``model_executor/models/clip.py:742``, ``siglip.py:819``.
    """
    if is_served_by_backend(facts.config.architecture):
        return False
    if not any(tower.model_type in _IN_VISION_MODEL for tower in towers_of(facts.checkpoint.config)):
        return False
    roots = {name.partition(_VISION_MODEL)[0] for name in skeleton.tensors if _VISION_MODEL in name}
    names = [own_name(skeleton, name) for name in dense_tensors(entry)]
    return any(name.startswith(f"{root}.") and _VISION_MODEL not in name for root in roots for name in names)


def is_strange_to_tower(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules in the layers of a tower that vLLM refuses there, a bias that it does not know among them."""
    names, seen = dense_tensors(entry), strangers_of(skeleton.architecture)
    unseen = ANY_IS_REFUSED if skeleton.architecture in borrowing_wrappers() else NONE_IS_REFUSED
    for stack, one in skeleton.towers.lists.items():
        strangers = seen.get(stack, unseen if one.refuses else NONE_IS_REFUSED)
        if not lies_in(skeleton, entry.modules.template, stack):
            continue
        inside = {inside_layer(name) for name in names}
        if inside & strangers.refused:
            return True
        known = (*names, *fused_tensors(entry, skeleton, facts))
        is_known = inside & strangers.taken or any(own_name(skeleton, name) in skeleton.tensors for name in known)
        return strangers.refuses_any and not is_known
    return False
