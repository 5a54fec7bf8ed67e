"""What stands against a recipe on a checkpoint: every objection, none stops the rest."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ctq.checkpoint.weight_slice import whole
from ctq.errors import ExitCode, Problem
from ctq.recipe.experts import experts_of
from ctq.recipe.fused import fused_key
from ctq.recipe.kinds import Kind
from ctq.recipe.match import first_match, matches_class, matches_name
from ctq.recipe.sizes import size_problems
from ctq.recipe.targeting import CLASSES, LINEAR_CLASSES, Reached, ambiguity, hits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.header import TensorInfo
    from ctq.checkpoint.weight_slice import WeightSlice
    from ctq.recipe.decision import Decision
    from ctq.recipe.heads import Head
    from ctq.recipe.recipe import Recipe
    from ctq.recipe.schemes import Scheme

_NEVER = (Kind.EMBEDDING, Kind.NORM, Kind.PARAMETER)
_SHOWN_REASONS = 3


def objections(recipe: Recipe, modules: Sequence[Decision], head: Head | None, checkpoint: Checkpoint) -> list[Problem]:
    """Return what stands against ``recipe``, whose ``modules`` are decided; that nothing is left only where nothing else does."""
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
    return problems


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
    return matches_name(decision.module, pattern) or matches_class(CLASSES.get(decision.kind, ()), pattern)


def _ambiguous(modules: Sequence[Decision], recipe: Recipe, head: Head | None) -> Iterator[Problem]:
    """Refuse what engines would decide differently: the first module is named, since a pattern has many."""
    named = (
        [hit for hit in hits(head.name, recipe.body) if hit.target not in LINEAR_CLASSES]
        if head and recipe.lm_head
        else []
    )
    candidates = [(head.name, [Reached(head.targets[0], recipe.head_scheme), *named])] if head and named else []
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
        config = checkpoint.config
        named = None if config.names_no_architecture else config.architecture
        why = named or "its config names no architecture"
        yield Problem(
            message=f"{checkpoint.label}: the head is asked for, but the model has none ({why})",
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
