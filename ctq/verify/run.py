"""A verification from beginning to end: open, ask every engine, compare the weights, put the report together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq import events
from ctq.findings import Finding, Severity
from ctq.inspect.report import head_json
from ctq.inspect.rules.check import Selection, find
from ctq.inspect.rules.rule import Claim
from ctq.inspect.rules.table import RULES
from ctq.verify.config_check import compare_configs
from ctq.verify.engine_names import EngineName
from ctq.verify.engines.table import ASK
from ctq.verify.engines.vllm.interpreter import find_vllm
from ctq.verify.report import OPEN_QUESTIONS, NumericReport, VerifyReport
from ctq.verify.subject import Subject, open_subject

if TYPE_CHECKING:
    from ctq.verify.numeric.result import WeightsReport
    from ctq.verify.report import EngineAnswer
    from ctq.verify.request import VerifyRequest

ENGINE_OPINIONS = tuple(rule.code for rule in RULES if rule.claim is Claim.OPINION)
"""Rules of inspection that say what vLLM will make of a checkpoint: here the engines that were asked say so themselves."""


def verify(request: VerifyRequest, *, on_event: events.OnEvent = events.ignore) -> VerifyReport:
    """Verify a checkpoint as asked.

    Raises:
        CheckpointError: the checkpoint or the reference cannot be read.
        UsageError: an engine's version or the hidden states given make no sense.

    """
    subject = open_subject(request)
    answers = [_ask(engine, subject, on_event) for engine in engines_of(request)]
    said = tuple(dict.fromkeys(finding for answer in answers for finding in answer.findings))
    weights: WeightsReport | None = None
    proven: tuple[Finding, ...] = ()
    if subject.reference is not None:
        from ctq.verify.numeric.proof import prove_weights

        weights, proven = prove_weights(
            subject.facts, subject.reference, limits=request.limits, workers=request.workers, on_event=on_event
        )
        proven += tuple(compare_configs(subject.checkpoint, subject.reference, own=weights.recomputed))
    return VerifyReport(
        checkpoint=subject.checkpoint.label,
        expected=subject.expected,
        lm_head=head_json(subject.facts.head),
        engines=tuple(answer.report for answer in answers),
        numeric=NumericReport(logits=tuple(run for answer in answers for run in answer.runs), weights=weights),
        findings=_in_order((*structural(subject), *said, *proven)),
    )


def engines_of(request: VerifyRequest) -> tuple[EngineName, ...]:
    """Return the engines to ask: those of the request, else builtin, and vllm where there is one."""
    if request.engines:
        return request.engines
    has_vllm = request.vllm_python is not None or find_vllm() is not None
    return (EngineName("builtin"), EngineName("vllm")) if has_vllm else (EngineName("builtin"),)


def structural(subject: Subject) -> tuple[Finding, ...]:
    """Return the errors that inspection finds in the files themselves, whatever any engine makes of them.

    Weights that look as if they had never been written are named too, unless a reference tells whether they were meant so.
    """
    found = find(subject.facts, Selection(ignore=ENGINE_OPINIONS))
    named = OPEN_QUESTIONS if subject.reference is None else ()
    return tuple(finding for finding in found if finding.severity is Severity.ERROR or finding.code in named)


def _ask(engine: EngineName, subject: Subject, on_event: events.OnEvent) -> EngineAnswer:
    if engine.name != "builtin":
        on_event(events.Noted(f"asking {engine.name}, in a process of its own"))
    return ASK[engine.name](engine, subject)


def _in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.severity.rank))
