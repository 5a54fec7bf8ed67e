"""What happens to the head: its targets, whether any engine will dispatch it, what it costs and saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.checkpoint.pooling import MODULES_NAME
from ctq.checkpoint.size import size
from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.verdicts.transformers_layers import head_name
from ctq.engines.vllm_models.bare_models import is_bare
from ctq.engines.vllm_models.heads import Reach, head_reach, newest_vllm
from ctq.engines.vllm_models.limits import breaking_limit, limiting_switches
from ctq.errors import ExitCode, Problem
from ctq.quantize.tasks import output_specs
from ctq.recipe.heads import ENGINE_CLASS
from ctq.recipe.match import matches_name

if TYPE_CHECKING:
    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.recipe.decision import Decisions
    from ctq.recipe.heads import Head
    from ctq.recipe.schemes import Scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadPlan:
    """The head of a plan.

    ``state`` is that of the result (``quantized dense tied absent``); ``targets`` reach a quantized head, ``ignored`` keeps a
    dense one out of the body's; ``materialized`` says that a tied head becomes a tensor of its own. ``nbytes_dense`` is what the
    head's weight takes in the source's dtype, ``nbytes_quantized`` what it will take.
    """

    state: str
    targets: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    materialized: bool = False
    nbytes_dense: int = 0
    nbytes_quantized: int = 0
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def plan_head(source: Checkpoint, decisions: Decisions, *, allow_unsupported: bool) -> HeadPlan:
    """Plan the head as decided; that no engine dispatches it is a problem unless ``allow_unsupported``."""
    head, scheme = decisions.head, decisions.head_scheme
    if head is None:
        return HeadPlan(state="absent")
    weight = source.tensors[head.tensor or head.embedding or ""]
    if scheme is None:
        ignored = _ignored(head, source.config.architecture)
        return HeadPlan(state="tied" if head.tied else "dense", ignored=ignored, nbytes_dense=weight.nbytes)
    targets, reach = _targets(source, head, packed=scheme.is_packed)
    problem, note = _support(reach, allow_unsupported=allow_unsupported)
    nbytes = sum(spec.nbytes for spec in output_specs(head.name, weight.dtype, weight.shape, scheme))
    return HeadPlan(
        state="quantized",
        targets=targets,
        materialized=head.tied,
        nbytes_dense=weight.nbytes,
        nbytes_quantized=nbytes,
        notes=tuple(note for note in (_tied_note(head, weight.nbytes, nbytes, scheme), note) if note),
        problems=(problem,) if problem else (),
    )


def _ignored(head: Head, architecture: str | None) -> tuple[str, ...]:
    """Return the head's patterns and the name that transformers gives it, where `Linear` would else reach a head without scales."""
    theirs = head_name(architecture)
    if theirs is None or any(matches_name(theirs, pattern) for pattern in head.targets):
        return head.targets
    return (*head.targets, theirs)


def _targets(source: Checkpoint, head: Head, *, packed: bool) -> tuple[tuple[str, ...], Reach]:
    """Return the head's targets and what the newest known vLLM does with them; a head built without a name needs its class."""
    config = source.config
    if is_bare(config.architecture or ""):
        by_type = ", which vLLM takes by the model type," if config.names_no_architecture else ""
        reason = f"{config.architecture}{by_type} is the model without a head"
        return head.targets, Reach(status="impossible", reason=reason, version=newest_vllm())
    if config.pools:
        reason = f"vLLM {newest_vllm()} makes an embedding model of it, as {MODULES_NAME} asks, and drops its head"
        return head.targets, Reach(status="impossible", reason=reason, version=newest_vllm())
    if (limit := breaking_limit(config.architecture, limiting_switches(config))) is not None:
        return head.targets, Reach(status="impossible", reason=limit.text, version=newest_vllm())
    reach = head_reach(config.architecture, head.targets, inner=inner_architecture(config), packed=packed)
    if reach.status == "dispatched" or not reach.nameless:
        return head.targets, reach
    targets = (*head.targets, ENGINE_CLASS)
    return targets, head_reach(config.architecture, targets, inner=inner_architecture(config), packed=packed)


def _support(reach: Reach, *, allow_unsupported: bool) -> tuple[Problem | None, str | None]:
    if reach.status == "dispatched":
        return None, None
    if reach.status == "unknown":
        return None, f"the head may not be dispatched: {reach.reason}; `ctq verify --engine vllm` finds out"
    if allow_unsupported:
        return None, f"no known engine dispatches this head: {reach.reason}"
    return (
        Problem(
            message=f"the head is asked for, but no known engine dispatches it: {reach.reason}",
            hint="quantize with --exclude-lm-head, or go on with --allow-unsupported-head",
            exit_code=ExitCode.NOT_GOOD,
        ),
        None,
    )


def _tied_note(head: Head, dense: int, quantized: int, scheme: Scheme) -> str | None:
    if not head.tied:
        return None
    return (
        f"tied embeddings: {head.name} becomes a {scheme.name} tensor of its own, {size(quantized)} more on disk; "
        f"the embedding stays dense ({size(dense)}), and a decoded token reads {size(dense - quantized)} less"
    )
