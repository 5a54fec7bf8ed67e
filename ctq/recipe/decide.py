"""From a recipe to one decision per module, with its reason; every objection is collected, none stops the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctq.checkpoint.weight_slice import whole
from ctq.errors import ExitCode, Problem
from ctq.recipe.experts import expert_weights, experts_of
from ctq.recipe.fused import fused_key
from ctq.recipe.heads import Head, find_head
from ctq.recipe.kinds import Classified, Kind, classify_all
from ctq.recipe.match import first_match, matches_class, matches_name
from ctq.recipe.sizes import size_problems
from ctq.recipe.targeting import LINEAR_CLASSES, Hit, ambiguity, hits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.header import TensorInfo
    from ctq.checkpoint.weight_slice import WeightSlice
    from ctq.recipe.recipe import Recipe
    from ctq.recipe.schemes import Scheme

_CLASSES: dict[Kind, tuple[str, ...]] = {
    Kind.LINEAR: LINEAR_CLASSES,
    Kind.ROUTER: LINEAR_CLASSES,
    Kind.EMBEDDING: ("Embedding",),
    Kind.TRANSPOSED: ("Conv1D",),
}
"""Class names that headers can tell; compressed-tensors' class targets match these."""
_NEVER = (Kind.EMBEDDING, Kind.NORM, Kind.PARAMETER)
_SHOWN_REASONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to one module: a ``scheme``, or None for dense, and why; ``ignore`` is the pattern that tells engines.

    ``part`` is where its weight lies in a tensor that holds several; None where it is a tensor of its own.
    """

    module: str
    tensor: str
    kind: Kind
    scheme: Scheme | None
    reason: str
    ignore: str | None = None
    part: WeightSlice | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Every decision in the order of the files, the head and its scheme (None: dense), and what stands against the recipe."""

    modules: tuple[Decision, ...]
    head: Head | None
    head_scheme: Scheme | None
    head_reason: str
    problems: tuple[Problem, ...]


def decide(checkpoint: Checkpoint, recipe: Recipe) -> Decisions:
    """Decide every module of a dense checkpoint; pure, from names and shapes alone."""
    kinds = classify_all(checkpoint.config, checkpoint.tensors)
    head = find_head(checkpoint.config, checkpoint.tensors)
    recipe = replace(recipe, lm_head=_head_wanted(recipe, head))
    modules = tuple(_module_decisions(kinds, recipe, head, checkpoint))
    head_scheme = recipe.head_scheme if recipe.lm_head and head else None
    problems = [
        *_unmatched(recipe, modules, head),
        *_ambiguous(modules, recipe, head),
        *_split_fusions(modules),
        *_fused_experts(modules, recipe),
        *_head_problems(recipe, head, checkpoint),
        *size_problems(_wanted(modules, head, head_scheme, checkpoint.tensors), checkpoint.config, head),
    ]
    if not problems and head_scheme is None and not any(decision.scheme for decision in modules):
        problems.append(_nothing(modules, head))
    return Decisions(
        modules=modules,
        head=head,
        head_scheme=head_scheme,
        head_reason=_head_reason(recipe, head),
        problems=tuple(problems),
    )


def _nothing(modules: Sequence[Decision], head: Head | None) -> Problem:
    """Say that nothing is left to quantize, why the largest kinds of matrices are not, and that a head could be."""
    reasons = Counter(decision.reason for decision in modules if decision.reason and decision.kind not in _NEVER)
    left = "; ".join(f"{count} ({reason})" for reason, count in reasons.most_common(_SHOWN_REASONS))
    alone = "--include-lm-head quantizes the head by itself"
    return Problem(
        message="nothing to quantize: no linear layer is targeted",
        hint="; ".join(filter(None, (f"left dense: {left}" if left else "", alone if head else ""))) or None,
        exit_code=ExitCode.USAGE,
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
    ignored = first_match(module, _CLASSES[Kind.LINEAR], recipe.ignore)
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


def _unmatched(recipe: Recipe, modules: Sequence[Decision], head: Head | None) -> Iterator[Problem]:
    for group in recipe.body:
        for target in group.targets:
            if target in LINEAR_CLASSES:
                continue  # the default: a model without linear layers may still have a head to quantize
            hits = [decision for decision in modules if _matches(decision, target)]
            if any(decision.kind is Kind.LINEAR for decision in hits) or (head and matches_name(head.name, target)):
                continue
            yield _unmatched_target(target, hits)
    for pattern in recipe.ignore:
        if not any(_matches(decision, pattern) for decision in modules) and not (
            head and matches_name(head.name, pattern)
        ):
            yield Problem(
                message=f"ignore `{pattern}` matches no module",
                hint="names are compared whole; write `re:.*NAME$` for a pattern",
                exit_code=ExitCode.USAGE,
            )


def _unmatched_target(target: str, hits: Sequence[Decision]) -> Problem:
    if hits:
        message = f"target `{target}` reaches only what is never quantized: {hits[0].module} ({hits[0].reason})"
        return Problem(message=message, exit_code=ExitCode.USAGE)
    return Problem(
        message=f"target `{target}` matches no linear layer",
        hint="names are compared whole; write `re:.*NAME$` for a pattern",
        exit_code=ExitCode.USAGE,
    )


def _matches(decision: Decision, pattern: str) -> bool:
    return matches_name(decision.module, pattern) or matches_class(_CLASSES.get(decision.kind, ()), pattern)


def _ambiguous(modules: Sequence[Decision], recipe: Recipe, head: Head | None) -> Iterator[Problem]:
    """Refuse what engines would decide differently: the first module is named, since a pattern has many."""
    named = (
        [hit for hit in hits(head.name, recipe.body) if hit.target not in LINEAR_CLASSES]
        if head and recipe.lm_head
        else []
    )
    candidates = [(head.name, [Hit(head.targets[0], recipe.head_scheme), *named])] if head and named else []
    if len(recipe.body) > 1:
        candidates += [(item.module, hits(item.module, recipe.body)) for item in modules if item.scheme]
    found = (ambiguity(module, reached) for module, reached in candidates)
    yield from [problem for problem in found if problem][:1]


def _split_fusions(modules: Sequence[Decision]) -> Iterator[Problem]:
    """Check that parts which engines load into one parameter share its scheme; one problem for all alike layers."""
    first: dict[str, Decision] = {}
    split: dict[str, list[tuple[Decision, Decision]]] = {}
    for decision in modules:
        if decision.kind not in (Kind.LINEAR, Kind.FUSED_EXPERTS):
            continue
        together = experts_of(decision.tensor) if decision.kind is Kind.FUSED_EXPERTS else None
        key = fused_key(together or decision.module)
        other = first.setdefault(key, decision)
        if other.scheme != decision.scheme:
            split.setdefault(key.rpartition(".")[2], []).append((other, decision))
    for pairs in split.values():
        one, other = pairs[0]
        more = f", and {len(pairs) - 1} more like this" if len(pairs) > 1 else ""
        yield Problem(
            message=f"{one.module} and {other.module} are fused by engines and must share a scheme "
            f"({_words(one)}; {_words(other)}){more}",
            hint="target or ignore all parts of a fused layer together",
            exit_code=ExitCode.USAGE,
        )


def _words(decision: Decision) -> str:
    return f"{decision.scheme.name if decision.scheme else 'dense'}: {decision.reason}"


def _fused_experts(modules: Sequence[Decision], recipe: Recipe) -> Iterator[Problem]:
    found = [
        decision
        for decision in modules
        if decision.kind is Kind.FUSED_EXPERTS
        and first_match(decision.module, (), recipe.ignore) is None
        and _reaches_experts(decision.module, recipe)
    ]
    if found:
        patterns = dict.fromkeys(decision.ignore or decision.module for decision in found)
        flags = " ".join(f"--ignore '{pattern}'" for pattern in patterns)
        yield Problem(
            message=f"{found[0].module}: {found[0].reason}, which would stay dense beside quantized layers",
            hint=f"convert the experts to one tensor each, or leave them dense on purpose: {flags}",
            exit_code=ExitCode.FAILED,
        )


def _reaches_experts(module: str, recipe: Recipe) -> bool:
    """Tell whether the recipe would quantize the experts in a tensor, if they lay apart."""
    return bool(hits(f"{module}.0", recipe.body)) and first_match(f"{module}.0", (), recipe.ignore) is None


def _head_problems(recipe: Recipe, head: Head | None, checkpoint: Checkpoint) -> Iterator[Problem]:
    if not recipe.lm_head:
        return
    if head is None:
        architecture = checkpoint.config.architecture or "its config names no architecture"
        yield Problem(
            message=f"{checkpoint.label}: the head is asked for, but the model has none ({architecture})",
            hint="quantize without --include-lm-head",
            exit_code=ExitCode.NOT_GOOD,
        )
        return
    for pattern in recipe.ignore:
        if matches_name(head.name, pattern):
            message = f"the head is asked for, but ignore `{pattern}` excludes {head.name}"
            yield Problem(
                message=message, hint="drop that pattern, or quantize with --exclude-lm-head", exit_code=ExitCode.USAGE
            )


def _wanted(
    modules: Sequence[Decision], head: Head | None, head_scheme: Scheme | None, tensors: Mapping[str, TensorInfo]
) -> Iterator[tuple[str, WeightSlice, Scheme]]:
    for decision in modules:
        if decision.scheme:
            yield decision.module, decision.part or whole(tensors[decision.tensor]), decision.scheme
    if head and head_scheme and (head.tensor or head.embedding):
        yield head.name, whole(tensors[head.tensor or head.embedding or ""]), head_scheme
