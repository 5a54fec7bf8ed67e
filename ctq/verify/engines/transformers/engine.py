"""The transformers engine: ``from_pretrained`` in a process of its own, the head's state, logits against the reference.

The whole model is loaded and run, so it is for small models, or when it is asked for.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from typing import TYPE_CHECKING, Any

from ctq.findings import named
from ctq.inspect.facts.engines import EngineRequest, judge_head
from ctq.verify.comparison import LogitsComparison
from ctq.verify.engines.transformers.process import WorkerDiedError, run_worker
from ctq.verify.logit_limits import WHOLE_MODEL, beyond
from ctq.verify.report import EngineAnswer, EngineReport, LogitsRun, Status, unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.verify.engine_names import EngineName
    from ctq.verify.subject import Subject

NAME = "transformers"
WORKER = "ctq.verify.engines.transformers.worker"
_NEEDED = ("transformers", "compressed_tensors")
_NO_FAULT_OF_THE_CHECKPOINT = {
    "reference": "the reference does not load",
    "import": "a package that loading it needs is not installed",
}
"""Where a load failed, and how that is said; anything else that fails is the checkpoint's."""


def ask_transformers(engine: EngineName, subject: Subject) -> EngineAnswer:
    """Load the checkpoint as transformers does; that it is missing, dies or hangs is an answer too."""
    absent = next((name for name in _NEEDED if importlib.util.find_spec(name) is None), None)
    if absent is not None:
        return unavailable(
            NAME, engine.version, f"{absent} is not installed beside ctq; pip install 'ctq[transformers]'"
        )
    version = importlib.metadata.version("transformers")
    if not engine.accepts(version):
        return unavailable(NAME, engine.version, f"transformers {version} is installed, {engine.version} was asked for")
    try:
        found = run_worker(WORKER, job_of(subject), timeout_s=subject.request.timeout_s)
    except WorkerDiedError as death:
        return unavailable(NAME, version, f"transformers {version} cannot decide: {death}")
    return answer_of(found, subject)


def job_of(subject: Subject) -> dict[str, Any]:
    """Return what the worker is asked."""
    request = subject.request
    return {
        "checkpoint": str(request.checkpoint.absolute()),
        "reference": str(request.reference.absolute()) if request.reference else None,
        "device": request.device,
        "token_ids": list(request.token_ids),
        "tokens": request.tokens,
        "seed": request.seed,
    }


def answer_of(found: dict[str, Any], subject: Subject) -> EngineAnswer:
    """Judge what the worker found."""
    if found.get("failed") in _NO_FAULT_OF_THE_CHECKPOINT:
        return unavailable(NAME, found["version"], f"{_NO_FAULT_OF_THE_CHECKPOINT[found['failed']]}: {found['error']}")
    reasons = list(_refusal(found, subject) if "error" in found else _reasons(found, subject))
    report = EngineReport(
        engine=NAME,
        version=found["version"],
        device=found["device"],
        status=Status.FAIL if reasons else Status.PASS,
        quant_method="compressed-tensors" if found.get("quantized") else None,
        scheme=found.get("scheme"),
        kernel="decompressed" if found.get("quantized") else None,
        missing=tuple(found.get("missing", ())),
        unexpected=tuple(found.get("unexpected", ())),
        never_loaded=tuple(found.get("missing", ())),
        error="; ".join(reasons) or None,
    )
    return EngineAnswer(report=report, runs=_runs(found))


def _refusal(found: dict[str, Any], subject: Subject) -> Iterator[str]:
    """Yield what is known of this release and such layers, where its own words may point to a log that nobody sees; then those."""
    (known,) = judge_head(subject.facts, [EngineRequest(NAME, found["version"])])
    if known.outcome.is_bad:
        yield f"{known.outcome.reason} ({known.layer})" if known.layer else known.outcome.reason
    yield found["error"]


def _reasons(found: dict[str, Any], subject: Subject) -> Iterator[str]:
    if found["missing"]:
        yield f"never loaded, so made up by transformers: {named(found['missing'])}"
    if found["mismatched"]:
        yield f"of another shape than the model's: {named(found['mismatched'])}"
    if subject.expects_quantized and not found["quantized"]:
        yield f"the head is not quantized: it is a dense {found['head_class']}"
    if not subject.expects_quantized and found["quantized"]:
        yield f"the head is quantized: {found['scheme']}"
    for run in _runs(found):
        if not run.compared.finite:
            yield "logits that are not finite"
        else:
            yield from (f"logits differ from the reference's: {number}" for number in beyond(run.compared, WHOLE_MODEL))


def _runs(found: dict[str, Any]) -> tuple[LogitsRun, ...]:
    if "run" not in found:
        return ()
    return (
        LogitsRun(
            engine=NAME,
            device=found["device"],
            kernel="from_pretrained",
            of="model",
            against="reference",
            compared=LogitsComparison(**found["run"]),
            exercised=True,
            seconds=found["seconds"],
        ),
    )
