"""The builtin engine: vLLM's dispatch of a chosen release, its loading of the head, and the head run on real arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.hardware import Layer, hardware_notes, kernels_for
from ctq.engines.verdicts.head_facts import HeadForm
from ctq.engines.verdicts.vllm import vllm_outcome
from ctq.engines.vllm.rules import rules_for
from ctq.engines.vllm_models.heads import newest_vllm
from ctq.inspect.as_built.body import check_body
from ctq.inspect.as_built.no_class import without_class
from ctq.inspect.facts.engines import head_facts_for_engines
from ctq.inspect.facts.entries import State
from ctq.recipe.quant_config import METHOD
from ctq.verify.codes import ENGINE_NOTE
from ctq.verify.engines.builtin.dispatch_head import HeadDispatch, dispatch_config, dispatch_head
from ctq.verify.engines.builtin.head_loading import HeadLoading, plan_loading
from ctq.verify.logit_limits import wrong_logits
from ctq.verify.report import EngineAnswer, EngineReport, LogitsRun, Status, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.engines.verdicts.head_facts import Outcome
    from ctq.engines.vllm.rules import EngineRules
    from ctq.findings import Finding
    from ctq.inspect.as_built.body import BodyFault
    from ctq.verify.engine_names import EngineName
    from ctq.verify.subject import Subject

NAME = "builtin"
_EVERYWHERE = "Marlin"
"""The weight-only kernel that every CUDA build has, for every GPU from 7.5 on."""
_METHODS = {
    "linear": "CompressedTensorsLinearMethod",
    "embedding": "CompressedTensorsEmbeddingMethod",
    "moe": "CompressedTensorsMoEMethod",
    "kv_cache": "CompressedTensorsKVCacheMethod",
}
"""vLLM's classes of the methods (CT/compressed_tensors.py)."""


def ask_builtin(engine: EngineName, subject: Subject) -> EngineAnswer:
    """Judge the checkpoint by vLLM's own rules, of ``engine.version`` or the newest known; no engine is needed.

    Raises:
        CheckpointError: a file cannot be read.
        UsageError: the version is no version number, or the hidden states given do not fit.

    """
    rules = rules_for(engine.version or newest_vllm())
    method = subject.facts.method
    if method is not None and method != METHOD:
        return unavailable(NAME, rules.asked, f"judges compressed-tensors alone; this checkpoint is {method}")
    try:
        return _ask(subject, rules)
    except DispatchError as error:
        return EngineAnswer(report=_failed(rules, f"vLLM {rules.asked} refuses it: {error.message}"))


def _ask(subject: Subject, rules: EngineRules) -> EngineAnswer:
    config, name = subject.checkpoint.config, subject.facts.head.name or "lm_head"
    quant = dispatch_config(config, rules, capability=None)
    faults = list(check_body(subject.facts, quant)) if quant else []
    if subject.facts.head.state is State.ABSENT:
        return EngineAnswer(report=_headless(subject, rules, faults))
    stored = head_facts_for_engines(subject.facts)
    known = vllm_outcome(stored, rules.asked)
    head = dispatch_head(config, quant, rules, name=name, packed=stored.stored is HeadForm.PACKED)
    loading = plan_loading(subject.facts, head, ranks=subject.request.tensor_parallel_size, rules=rules)
    report = _report(rules, head, loading)
    reasons = [*_unmet(subject, head, known), *loading.reasons]
    if not reasons and known.is_bad:
        reasons = [known.reason]
    report = replace(
        report,
        unexpected=(*report.unexpected, *(name for fault in faults for name in fault.unexpected)),
        never_loaded=(*report.never_loaded, *(name for fault in faults for name in fault.never_loaded)),
    )
    reasons += [fault.message for fault in faults]
    reasons += [lacking.why for lacking in without_class(subject.facts)]
    if reasons:
        return EngineAnswer(report=_judged(report, reasons))
    answer = _with_runs(subject, head, loading, report) if head.quantized else EngineAnswer(report=report)
    answer = replace(answer, findings=tuple(_kernel_notes(name, head, loading)))
    if known.verdict == "unknown" and answer.report.status is Status.PASS:
        return replace(answer, report=_undecided(answer.report, f"{known.reason}; --engine vllm asks the real one"))
    return answer


def _headless(subject: Subject, rules: EngineRules, faults: Sequence[BodyFault]) -> EngineReport:
    known = vllm_outcome(head_facts_for_engines(subject.facts), rules.asked)
    reasons = ["the head is not quantized: the model has none"] if subject.expects_quantized else []
    reasons += [known.reason] if known.is_bad else []
    reasons += [fault.message for fault in faults]
    reasons += [lacking.why for lacking in without_class(subject.facts)]
    report = EngineReport(engine=NAME, version=rules.asked, device=None, status=Status.PASS)
    return _judged(report, reasons)


def _report(rules: EngineRules, head: HeadDispatch, loading: HeadLoading) -> EngineReport:
    found = loading.placements
    return EngineReport(
        engine=NAME,
        version=rules.asked,
        device=None,
        status=Status.PASS,
        quant_method=_METHODS[head.method.kind] if head.method and head.method.scheme else None,
        scheme=f"CompressedTensors{head.scheme}" if head.scheme else None,
        missing=found.missing,
        unexpected=found.unexpected,
        never_loaded=found.missing,
    )


def _unmet(subject: Subject, head: HeadDispatch, known: Outcome) -> Iterator[str]:
    if head.method is not None and head.method.kind == "embedding":
        yield f"{head.reason}, but as an embedding, which fails at the first logits"
    elif subject.expects_quantized and not head.quantized:
        yield f"the head is not quantized: {head.reason}"
    elif subject.expects_quantized and known.verdict == "dense":
        yield f"the head is not quantized: {known.reason}"
    elif head.quantized and not subject.expects_quantized:
        yield f"the head is quantized ({head.scheme}): {head.reason}"


def _judged(report: EngineReport, reasons: Sequence[str]) -> EngineReport:
    status = Status.FAIL if reasons else report.status
    return replace(report, status=status, error="; ".join(reasons) or report.error)


def _failed(rules: EngineRules, why: str) -> EngineReport:
    return EngineReport(engine=NAME, version=rules.asked, device=None, status=Status.FAIL, error=why)


def _with_runs(subject: Subject, head: HeadDispatch, loading: HeadLoading, report: EngineReport) -> EngineAnswer:
    """Load and run the head: torch is imported only here."""
    import torch

    from ctq.verify.engines.builtin.running import (
        can_run,
        capability_of,
        choose_device,
        device_name,
        kernel_name,
        run_head,
    )

    device = choose_device(subject.request.device)
    if subject.request.device == "cuda" and device != "cuda":
        return EngineAnswer(report=_undecided(report, "no CUDA device is here; --device cpu runs the head on the CPU"))
    if not can_run(head, loading):
        return EngineAnswer(
            report=_undecided(report, f"{head.scheme} is dispatched, but its arithmetic is not known here")
        )
    too_old = _too_old(subject, report.version, capability_of(device))
    if too_old:
        return EngineAnswer(report=_judged(report, [too_old]))
    report = replace(report, device=device_name(device), kernel=kernel_name(head))
    try:
        runs = run_head(subject, head, loading, device=device)
    except torch.OutOfMemoryError as error:
        return EngineAnswer(report=_undecided(report, f"no room on the device: {str(error).splitlines()[0]}"))
    return EngineAnswer(report=_judged(report, _wrong(runs, head, subject)), runs=runs)


def _too_old(subject: Subject, version: str | None, capability: int | None) -> str | None:
    """Ask again with the capability of the GPU that is here; return the refusal, if any."""
    if capability is None:
        return None
    rules = rules_for(version)
    try:
        quant = dispatch_config(subject.checkpoint.config, rules, capability=capability)
        dispatch_head(subject.checkpoint.config, quant, rules, name=subject.facts.head.name or "lm_head")
    except DispatchError as error:
        return error.message
    return None


def _wrong(runs: Sequence[LogitsRun], head: HeadDispatch, subject: Subject) -> list[str]:
    return [why for run in runs for why in wrong_logits(run, head.scheme, subject.request.limits)]


def _kernel_notes(name: str, head: HeadDispatch, loading: HeadLoading) -> Iterator[Finding]:
    """Say where few of the engine's kernels take a weight-only head: which GPU will serve it is not known here."""
    if head.scheme != "WNA16" or head.args is None:
        return
    size = head.args.weights.group_size
    layer = Layer(
        group_size=size if size and size > 0 else None,
        symmetric=head.args.weights.symmetric,
        columns=loading.geometry.hidden,
        rows_per_rank=loading.geometry.rows_per_rank,
    )
    if not any(kernel.name == _EVERYWHERE for kernel in kernels_for(head.scheme, layer)):
        yield ENGINE_NOTE.at(name, hardware_notes(head.scheme, layer)[-1])


def _undecided(report: EngineReport, why: str) -> EngineReport:
    return replace(report, status=Status.UNAVAILABLE, error=why)
