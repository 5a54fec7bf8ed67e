"""From a recipe to one decision per module, with its reason, and every objection."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.recipe.classify import classify_all
from ctq.recipe.decision import Decision, Decisions
from ctq.recipe.experts import expert_weights
from ctq.recipe.heads import Head, find_head
from ctq.recipe.kinds import Classified, Kind
from ctq.recipe.match import first_match, matches_name
from ctq.recipe.objections import objections
from ctq.recipe.targeting import CLASSES, hits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.recipe.recipe import Recipe


def decide(checkpoint: Checkpoint, recipe: Recipe) -> Decisions:
    """Decide every module of a dense checkpoint; pure, from names and shapes alone."""
    kinds = classify_all(checkpoint.config, checkpoint.tensors)
    head = find_head(checkpoint.config, checkpoint.tensors)
    recipe = replace(recipe, lm_head=_head_wanted(recipe, head))
    modules = tuple(_module_decisions(kinds, recipe, head, checkpoint))
    return Decisions(
        modules=modules,
        head=head,
        head_scheme=recipe.head_scheme if recipe.lm_head and head else None,
        head_reason=_head_reason(recipe, head),
        problems=tuple(objections(recipe, modules, head, checkpoint)),
    )


def _head_wanted(recipe: Recipe, head: Head | None) -> bool | None:
    """Take a target that names the head as asking for it, unless someone decided otherwise."""
    if recipe.lm_head is not None or head is None:
        return recipe.lm_head
    named = any(matches_name(head.name, target) for group in recipe.body for target in group.targets)
    return True if named and not any(matches_name(head.name, pattern) for pattern in recipe.ignore) else None


def _head_reason(recipe: Recipe, head: Head | None) -> str:
    if head is None:
        return "the model has no head"
    if recipe.lm_head is None:
        return "nobody decided: the head stays dense"
    return f"{'included' if recipe.lm_head else 'excluded'} by {recipe.origin}"


def _module_decisions(
    kinds: Mapping[str, Classified], recipe: Recipe, head: Head | None, checkpoint: Checkpoint
) -> Iterator[Decision]:
    others = head.others if head else ()
    for tensor, classified in kinds.items():
        module = tensor.removesuffix(".weight")
        if head is not None and tensor == head.tensor:
            continue
        if module in others:
            reason = f"another head: `{module}` is ignored by its name"
            yield Decision(
                module=module, tensor=tensor, kind=Kind.DRAFT, scheme=None, reason=reason, ignore=_by_name(module)
            )
        elif classified.kind is Kind.LINEAR:
            yield _linear(module, tensor, recipe)
        elif classified.kind is Kind.FUSED_EXPERTS and (parts := _targeted_experts(tensor, recipe, checkpoint)):
            yield from parts
        else:
            ignore = classified.ignore
            if ignore is None and tensor != module and _named_by_target(module, recipe):
                ignore = _by_name(module)
            yield Decision(
                module=module, tensor=tensor, kind=classified.kind, scheme=None, reason=classified.reason, ignore=ignore
            )


def _linear(module: str, tensor: str, recipe: Recipe) -> Decision:
    ignored = first_match(module, CLASSES[Kind.LINEAR], recipe.ignore)
    if ignored is not None:
        reason = f"ignored by `{ignored}`"
        return Decision(module=module, tensor=tensor, kind=Kind.LINEAR, scheme=None, reason=reason, ignore=ignored)
    found = hits(module, recipe.body)
    if found:
        reason = f"target `{found[0].target}`"
        return Decision(module=module, tensor=tensor, kind=Kind.LINEAR, scheme=found[0].scheme, reason=reason)
    return Decision(module=module, tensor=tensor, kind=Kind.LINEAR, scheme=None, reason="no target matches")


def _targeted_experts(tensor: str, recipe: Recipe, checkpoint: Checkpoint) -> list[Decision]:
    """Decide the experts that one tensor holds, each by its own name; none where it stays as it is."""
    if first_match(tensor.removesuffix(".weight"), (), recipe.ignore) is not None:
        return []
    weights = expert_weights(checkpoint.config, checkpoint.tensors, checkpoint.tensors[tensor])
    decisions = [replace(_linear(module, tensor, recipe), part=weight) for module, weight in weights.items()]
    return decisions if any(decision.scheme for decision in decisions) else []


def _by_name(module: str) -> str:
    return "re:.*" + module.replace(".", r"\.") + "$"


def _named_by_target(module: str, recipe: Recipe) -> bool:
    return any(matches_name(module, target) for group in recipe.body for target in group.targets)
