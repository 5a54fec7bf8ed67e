"""The real vLLM's answer as an engine report: loaded without bytes, its head run on the device where it can be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.errors import EngineUnavailableError
from ctq.verify import codes
from ctq.verify.engines.vllm.facts import Outcome, VllmResult
from ctq.verify.engines.vllm.interpreter import require_vllm
from ctq.verify.engines.vllm.judge import Judgement, judge, main_head
from ctq.verify.engines.vllm.questions import VllmRequest, generate_vllm, run_vllm
from ctq.verify.report import EngineAnswer, EngineReport, LogitsRun, Status, unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ctq.verify.engine_names import EngineName
    from ctq.verify.subject import Subject

NAME = "vllm"
_GRAVITY = (Status.FAIL, Status.UNAVAILABLE, Status.PASS)


def ask_vllm(engine: EngineName, subject: Subject) -> EngineAnswer:
    """Ask the real vLLM, in a process of its own; that it is missing, dies or hangs is an answer too."""
    try:
        python = require_vllm(subject.request.vllm_python)
        results = run_vllm(_requests(subject), python=python, timeout_s=subject.request.timeout_s)
    except EngineUnavailableError as error:
        return unavailable(NAME, engine.version, f"{error.message}; {error.hint}" if error.hint else error.message)
    version = results[0].engine.version
    if not engine.accepts(version):
        return unavailable(
            NAME, engine.version, f"{python} has vLLM {version}; name another interpreter with --vllm-python"
        )
    ranks = results[: len(_ranks(subject))]
    baseline = results[len(ranks)] if len(results) > len(ranks) else None
    answer = _worst([answer_of(rank, subject, baseline) for rank in ranks])
    if subject.request.generate and answer.report.status is Status.PASS:
        return _generated(answer, subject, python)
    return answer


def _ranks(subject: Subject) -> tuple[int, ...]:
    """Ask the first rank and the last, which alone holds what pads the vocabulary."""
    size = subject.request.tensor_parallel_size
    return (0,) if size == 1 else (0, size - 1)


def _requests(subject: Subject) -> list[VllmRequest]:
    request = subject.request
    asked = [
        VllmRequest(
            checkpoint=request.checkpoint,
            tensor_parallel_size=request.tensor_parallel_size,
            rank=rank,
            head_tokens=request.tokens if rank == 0 else 0,
            seed=request.seed,
            hidden_states=request.hidden_states,
        )
        for rank in _ranks(subject)
    ]
    if request.reference is not None:
        # What stays unloaded in the dense original too is the architecture's own, no fault of the quantization.
        asked.append(VllmRequest(checkpoint=request.reference, tensor_parallel_size=request.tensor_parallel_size))
    return asked


def answer_of(result: VllmResult, subject: Subject, baseline: VllmResult | None) -> EngineAnswer:
    """Judge what one rank of vLLM showed; ``baseline`` is the dense original loaded in the same way."""
    judgement = judge(result, expect_head_quantized=subject.expects_quantized, baseline=baseline)
    where = f"{NAME} {result.engine.version}"
    notes = tuple(codes.ENGINE_NOTE.at(where, note) for note in judgement.notes)
    return EngineAnswer(report=_report(result, judgement, baseline), runs=_runs(result), findings=notes)


def _report(result: VllmResult, judgement: Judgement, baseline: VllmResult | None) -> EngineReport:
    head = main_head(result.heads)
    excused = baseline.unloaded if baseline is not None else ()
    refused = (result.error.unexpected,) if result.error is not None and result.error.unexpected else ()
    return EngineReport(
        engine=NAME,
        version=result.engine.version,
        device=result.engine.device_name or result.engine.device,
        status=judgement.status,
        quant_method=head.quant_method if head else None,
        scheme=(head.scheme or None) if head else None,
        kernel=_kernel(result),
        missing=tuple(part.name for part in head.parameters if not part.loaded) if head else (),
        unexpected=(*refused, *result.unused),
        never_loaded=tuple(name for name in result.unloaded if name not in excused),
        error="; ".join(judgement.reasons) or None,
    )


def _kernel(result: VllmResult) -> str | None:
    head = main_head(result.heads)
    if result.head_run is not None:
        return result.head_run.kernel + ("" if result.head_run.exercised else " (stand-in)")
    return (head.kernel or None) if head else None


def _runs(result: VllmResult) -> tuple[LogitsRun, ...]:
    run = result.head_run
    if run is None:
        return ()
    return (
        LogitsRun(
            engine=NAME,
            device=run.device,
            kernel=run.kernel,
            of="head",
            against="dequantized",
            compared=run.compared,
            exercised=run.exercised,
            seconds=run.seconds,
        ),
    )


def _worst(answers: Sequence[EngineAnswer]) -> EngineAnswer:
    """Return the gravest answer of all ranks, with the runs of every one."""
    worst = min(answers, key=lambda answer: _GRAVITY.index(answer.report.status))
    return replace(worst, runs=tuple(run for answer in answers for run in answer.runs))


def _generated(answer: EngineAnswer, subject: Subject, python: Path) -> EngineAnswer:
    """Add the run of the whole engine for a few greedy tokens."""
    request = subject.request
    try:
        done = generate_vllm(request.checkpoint, python=python, tokens=request.generate, timeout_s=request.timeout_s)
    except EngineUnavailableError as error:
        return replace(answer, report=replace(answer.report, status=Status.UNAVAILABLE, error=error.message))
    if done.outcome is Outcome.LOADED and done.finite:
        message = f"continued {len(done.prompt)} tokens with {', '.join(map(str, done.generated))}"
        return replace(answer, findings=(*answer.findings, codes.GENERATED.at("the whole engine", message)))
    undecided = done.outcome in (Outcome.CRASHED, Outcome.UNDECIDED)
    status = Status.UNAVAILABLE if undecided else Status.FAIL
    reason = done.error.message if done.error else "log probabilities that are not finite"
    why = f"generating {request.generate} tokens: {reason}"
    return replace(answer, report=replace(answer.report, status=status, error=why))
