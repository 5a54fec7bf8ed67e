"""Make a verdict of what the engine showed: a pure function, so that every reason can be tested without an engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.findings import named
from ctq.verify.engines.vllm.facts import Head, HeadRun, Outcome, Refusal, VllmResult
from ctq.verify.logit_limits import WITH_ACTIVATIONS, beyond
from ctq.verify.report import Status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_FLOATS = ("bfloat16", "float16", "float32")
_PACKED = "weight_packed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A status with its reasons, and what a reader should know of a good one."""

    status: Status
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def judge(facts: VllmResult, *, expect_head_quantized: bool | None, baseline: VllmResult | None = None) -> Judgement:
    """Judge a dry load, and the run of the head where there was one.

    ``expect_head_quantized`` None asks nothing of the head. ``baseline`` is the same architecture loaded dense: parameters that
    stay unloaded there too are the architecture's own and no fault of the quantization, and what is refused there alike cannot be
    judged.
    """
    if facts.outcome in (Outcome.CRASHED, Outcome.UNDECIDED):
        why = f"vLLM {facts.engine.version} cannot decide: {_message(facts)}"
        return Judgement(status=Status.UNAVAILABLE, reasons=(why,))
    if facts.outcome is Outcome.REFUSED and _refused_alike(facts, baseline):
        why = f"vLLM {facts.engine.version} refuses the dense original for the same reason: {_message(facts)}"
        return Judgement(status=Status.UNAVAILABLE, reasons=(why,))
    if facts.outcome is Outcome.REFUSED:
        return Judgement(status=Status.FAIL, reasons=(_refusal(facts),))
    reasons = (
        *_missing(facts, excused=baseline.unloaded if baseline is not None else ()),
        *_converted(facts),
        *_cut(facts, excused=_cut_in(baseline)),
        *_float_codes(facts),
        *_head(facts, expect_head_quantized),
        *_head_run(facts),
    )
    return Judgement(status=Status.FAIL if reasons else Status.PASS, reasons=reasons, notes=tuple(_notes(facts)))


def main_head(heads: Sequence[Head]) -> Head | None:
    """Choose the language model's head among several: the one that is nested least, then the first."""
    return min(heads, key=lambda head: head.name.count("."), default=None)


def _message(facts: VllmResult) -> str:
    return facts.error.message if facts.error else ""


def _refused_alike(facts: VllmResult, baseline: VllmResult | None) -> bool:
    """Tell whether the dense original is refused at the same place of the engine's code, so that no quantization is to blame."""
    if baseline is None or baseline.outcome is not Outcome.REFUSED or facts.error is None or baseline.error is None:
        return False
    return _place(facts.error) == _place(baseline.error)


def _place(error: Refusal) -> tuple[str | None, ...]:
    return error.stage, error.type, error.place, error.unexpected


def _refusal(facts: VllmResult) -> str:
    error = facts.error
    assert error is not None
    verb = {"config": "refuses the configuration", "build": "cannot build the model"}.get(
        error.stage, "refuses the tensors"
    )
    at = f" (at {error.tensor})" if error.stage == "load" and error.tensor else ""
    return f"vLLM {facts.engine.version} {verb}{at}: {error.message}"


def _missing(facts: VllmResult, *, excused: Collection[str]) -> Iterator[str]:
    never = [parameter.name for parameter in facts.never_loaded if parameter.name not in excused]
    if never:
        yield f"never loaded, so served uninitialised: {named(never)}"
    partly = [parameter for parameter in facts.partly_loaded if parameter.name not in excused]
    if partly:
        parts = [f"{parameter.name} ({parameter.loaded} of {parameter.elements} elements)" for parameter in partly]
        yield f"loaded only in part: {named(parts)}"


def _converted(facts: VllmResult) -> Iterator[str]:
    if facts.converted:
        parts = [f"{item.name} ({item.source} into {item.target})" for item in facts.converted]
        yield f"converted without a word, so the numbers lose their meaning: {named(parts)}"


def _cut(facts: VllmResult, *, excused: frozenset[str]) -> Iterator[str]:
    cut = [item for item in facts.partly_read if item.name not in excused]
    if cut:
        parts = [f"{item.name} ({item.read} of {item.elements} elements)" for item in cut]
        yield f"larger than the engine's parameters, which take a part without a word: {named(parts)}"


def _float_codes(facts: VllmResult) -> Iterator[str]:
    """Name quantized heads that share the embedding's weight: tied after their own parameters were made.

    A packed head is run by its codes all the same, whatever is called ``weight`` beside them.
    """
    for head in facts.heads:
        dtypes = {parameter.name.rpartition(".")[2]: parameter.dtype for parameter in head.parameters}
        has_codes = "weight_scale" in dtypes and _PACKED not in dtypes
        if head.quantized and has_codes and dtypes.get("weight") in _FLOATS:
            shared = f", shared with {head.tied_to}" if head.tied_to else ""
            yield f"the codes of {head.name} are {dtypes['weight']}{shared}"


def _cut_in(baseline: VllmResult | None) -> frozenset[str]:
    return frozenset(item.name for item in baseline.partly_read) if baseline is not None else frozenset()


def _head(facts: VllmResult, expect_quantized: bool | None) -> Iterator[str]:  # noqa: FBT001 - three-valued
    if expect_quantized is None:
        return
    head = main_head(facts.heads)
    if head is None:
        if expect_quantized:
            yield f"the head is not quantized: {facts.architecture} has no ParallelLMHead"
    elif expect_quantized and not head.quantized:
        why = f", tied to {head.tied_to}" if head.tied_to else ""
        yield f"the head is not quantized: {head.name} has {head.quant_method}{why}"
    elif not expect_quantized and head.quantized:
        yield f"the head is quantized: {head.name} has {head.quant_method} with {head.scheme}"
    ignored = [name for name in facts.unused if head is not None and _is_quantized_part(name, head)]
    if ignored:
        yield f"tensors of a quantized head are in the files and ignored: {named(ignored)}"


def _is_quantized_part(name: str, head: Head) -> bool:
    module, _, part = name.rpartition(".")
    return part in ("weight_scale", "weight_packed") and module.rpartition(".")[2] == head.name.rpartition(".")[2]


def _head_run(facts: VllmResult) -> Iterator[str]:
    if facts.head_error is not None:
        yield f"the head does not run: {facts.head_error.message}"
    if facts.head_run is not None:
        yield from _head_numbers(facts.head_run)


def _head_numbers(run: HeadRun) -> Iterator[str]:
    if not run.compared.finite:
        yield "the head gives logits that are not finite"
        return
    if strayed := ", ".join(beyond(run.compared, WITH_ACTIVATIONS)):
        yield f"the head's logits differ from its dequantized weights: {strayed}"


def _notes(facts: VllmResult) -> Iterator[str]:
    if facts.stand_ins:
        kernels = ", ".join(f"{name} ({count} layers)" for name, count in facts.stand_ins.items())
        yield f"this build of vLLM has no kernel for some layers, so the kernels were not exercised: {kernels}"
    if facts.head_skipped:
        yield f"the head was not run: {facts.head_skipped}"
    if facts.unused_count:
        yield f"{facts.unused_count} tensors are in the files and not used: {named(facts.unused, count=facts.unused_count)}"
