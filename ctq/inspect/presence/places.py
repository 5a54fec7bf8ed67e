"""Modules of the files that the architecture does not have: what vLLM makes of them in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.skeletons.draft_layers import counts_drafts
from ctq.engines.skeletons.engine_places import has_part, own_name
from ctq.engines.skeletons.passed_over import passed_over
from ctq.inspect.modules.parts import stored_name
from ctq.inspect.presence.passed_over import holds_modules, is_beside_experts, is_passed_over
from ctq.inspect.presence.stands_for import stands_for
from ctq.inspect.presence.strangers import is_beyond
from ctq.inspect.presence.towers import is_beyond_tower, is_strange_to_tower
from ctq.recipe.kinds import Kind
from ctq.recipe.template import EXPERTS, NUMBER, inside_layer

if TYPE_CHECKING:
    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_MTP = "mtp"
"""What draft layers are called that vLLM's classes look over; heads of Medusa or Eagle they take for any other module."""
_WEIGHT = ".weight"
_GATED = 3
"""Projections of an expert that has a gate."""
_HEAD = "lm_head"
_BEYOND = "beyond"


def is_refused(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a stranger in a place where vLLM refuses what it does not know, or leaves unread what nothing else stands for."""
    if (
        _is_stacked(entry, skeleton)
        or is_beyond_tower(entry, skeleton, facts)
        or is_strange_to_tower(entry, skeleton, facts)
    ):
        return True
    place = _place(entry, skeleton, facts)
    return place in skeleton.refuses or (place == _BEYOND and counts_drafts(facts.config))


def _is_stacked(entry: Entry, skeleton: Skeleton) -> bool:
    """Tell one projection of all experts of a layer: vLLM takes gate and up in one tensor or each expert's alone, and no other way.

    Source: vLLM 0.32.0 ``layers/fused_moe/routed_experts.py:1200`` (``make_expert_params_mapping``); of experts without a gate the
    one projection before the last is taken so.
    """
    owner, _, leaf = entry.modules.template.rpartition(".")
    first = f"{owner}.{NUMBER}."
    projections = {
        name.removeprefix(first) for name in skeleton.tensors if name.startswith(first) and name.endswith(_WEIGHT)
    }
    return len(projections) == _GATED and f"{leaf}{_WEIGHT}" in projections and f"{owner}.".endswith(EXPERTS)


def _place(entry: Entry, skeleton: Skeleton, facts: Facts) -> str:
    """Name the place of a stranger as the data calls it; ``unread`` is one that vLLM drops before it looks at it."""
    name = entry.modules.template
    if facts.names is not None and facts.names.drops(entry.modules.names[0]):
        return "unread"
    if is_beyond(entry, skeleton, facts) or is_beyond_tower(entry, skeleton, facts):
        return _BEYOND
    if name.rpartition(".")[2] == _HEAD:
        return "head"
    if skeleton.wrapped and not any(has_part(skeleton, tensor) for tensor in entry.modules.first_tensors):
        return "module"
    is_draft, is_in_body = entry.kind is Kind.DRAFT and _MTP in name, _is_in_body(name, skeleton)
    if (is_draft and is_in_body and passed_over(skeleton).drafts) or _is_left(entry, skeleton, facts):
        return "unread"
    is_unknown = is_draft and not (is_in_body and "layer" not in skeleton.refuses)
    return "draft" if is_unknown else _place_by_name(entry, skeleton, facts)


def _is_left(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell what lies beside experts, or has endings of names, where the loader passes over those."""
    is_beside = is_beside_experts(entry.modules.template, skeleton)
    return is_beside or all(is_passed_over(name, skeleton) for name in _templates(entry, facts))


def _templates(entry: Entry, facts: Facts) -> list[str]:
    """Name the tensors of a module as they stand in the files, by template."""
    template, module = entry.modules.template, entry.modules.names[0]
    stored = [stored_name(module, part, facts.checkpoint.tensors) for part in entry.modules.parts]
    return [f"{template}{name.removeprefix(module)}" for name in stored]


def _place_by_name(entry: Entry, skeleton: Skeleton, facts: Facts) -> str:
    """Name the place of a stranger in the text model, or beside it, by what it is called alone."""
    name = entry.modules.template
    if _templates(entry, facts) == [f"{name}.bias"] and _is_bias_passed_over(entry, skeleton, facts):
        return "bias"
    inside = inside_layer(name)
    if inside:
        return "inner" if "." in inside else "layer"
    if _is_in_body(name, skeleton):
        return "layer"
    return "module" if "." in entry.modules.first_tensors[0] else "top"


def _is_bias_passed_over(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a bias that most loaders pass over: that of a module which the model has, by the name of the files or of the engine."""
    name = entry.modules.template
    weights = [one.removesuffix("bias") + "weight" for one in stands_for(entry, skeleton, facts)]
    is_known = any(own_name(skeleton, weight) in skeleton.tensors for weight in weights)
    is_unread = passed_over(skeleton).biases and _is_in_body(name, skeleton)
    return is_unread or is_known or holds_modules(name, skeleton)


def _is_in_body(name: str, skeleton: Skeleton) -> bool:
    """Tell what lies beside the layers, in what holds their list: the loader that reads the layers reads it too."""
    return any(name.startswith(f"{stack.rpartition('.')[0]}.") for stack in skeleton.stacks)
