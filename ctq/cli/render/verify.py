"""A verification as text for 80 columns: the verdict first, then who says so, then the numbers, then the findings."""

from __future__ import annotations

import shlex
import statistics
from typing import TYPE_CHECKING

from ctq.cli.console import safe
from ctq.cli.render.findings import findings_view
from ctq.cli.render.lines import labelled, line, paragraph
from ctq.findings import Severity
from ctq.verify.report import OPEN_QUESTIONS, Status, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.cli.console import Line
    from ctq.verify.numeric.result import WeightsReport
    from ctq.verify.report import EngineReport, LogitsRun, VerifyReport

_LABEL = 11
_STYLES = {
    Verdict.PASS: "bold green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
}
_STATUS_STYLES = {Status.PASS: "green", Status.FAIL: "bold red", Status.UNAVAILABLE: "yellow"}
_STATES = {"quantized": "green", "dense": "yellow", "tied": "yellow", "absent": "yellow", "broken": "bold red"}
_ENGINE, _STATUS, _SCHEME = 22, 13, 12


def verify_view(report: VerifyReport, width: int) -> Iterator[Line]:
    """Yield what is to be shown, from top to bottom."""
    yield line(("", safe(report.checkpoint)))
    yield _verdict(report, width)
    yield _head(report, width)
    yield line()
    yield from _engines(report, width)
    if report.numeric.logits:
        yield line()
        yield from _logits(report)
    if report.numeric.weights is not None:
        yield line()
        yield from _weights(report.numeric.weights, width)
    yield line()
    if report.findings or report.verdict is not Verdict.FAIL:
        yield from findings_view(report.findings, width)
    else:  # an engine's own word, which the rules of inspection put in terms of the files
        command = f"ctq inspect {shlex.quote(report.checkpoint)} --expect-lm-head {report.expected}"
        yield paragraph(f"-> `{safe(command)}` says what to change", width, style="green")


def verdict_words(report: VerifyReport) -> str:
    """Return the verdict's reason in a few words: who objects, or who gave no answer."""
    if report.verdict is Verdict.PASS:
        return f"the head is {report.expected}, as expected"
    if report.verdict is Verdict.FAIL:
        state = report.lm_head["state"]
        other = f"the head is {state}, not {report.expected}" if _is_other(state, report.expected) else ""
        errors = sum(finding.severity is Severity.ERROR for finding in report.findings)
        found = f"{errors} error{'s' if errors > 1 else ''} in the files" if errors else ""
        return "; ".join(
            words for words in (other or _engines_words(report, Status.FAIL, "refused by"), found) if words
        )
    weights = report.numeric.weights
    silent = _engines_words(report, Status.UNAVAILABLE, "no answer from")
    left = "not every weight could be compared" if weights is not None and weights.undecided else ""
    empty = "weights hold nothing" if any(finding.code in OPEN_QUESTIONS for finding in report.findings) else ""
    return "; ".join(words for words in (silent, left, empty) if words)


def _is_other(state: str, expected: str) -> bool:
    """Tell a head that is sound, and not what was expected; a tied one counts as dense."""
    return {"quantized": "quantized", "dense": "dense", "tied": "dense"}.get(state, expected) != expected


def _engines_words(report: VerifyReport, status: Status, words: str) -> str:
    names = [f"{engine.engine} {engine.version or ''}".rstrip() for engine in report.engines if engine.status is status]
    return f"{words} {' and '.join(names)}" if names else ""


def result_line(report: VerifyReport) -> str:
    """Return one line on a check of a fresh result, for the summary of `ctq quantize`."""
    run = next((run for run in report.numeric.logits if run.against == "dequantized"), None)
    engine = report.engines[0]
    ran = f"; logits: cosine {run.compared.cosine:.4f}, relative error {run.compared.relative_error:.2%}" if run else ""
    reasons = [engine.error, *(finding.message for finding in report.findings)]
    why = next((f": {reason}" for reason in reasons if reason), "") if report.verdict is not Verdict.PASS else ""
    return f"{report.verdict}: {verdict_words(report)} (dispatch of vLLM {engine.version}{ran}){why}"


def _verdict(report: VerifyReport, width: int) -> Line:
    lead = (_STYLES[report.verdict], str(report.verdict))
    return labelled(("verdict", _LABEL), lead, f": {verdict_words(report)}", width)


def _head(report: VerifyReport, width: int) -> Line:
    head = report.lm_head
    state = str(head["state"])
    words = [head["scheme"], f"matched by `{head['matched_target']}`" if head["matched_target"] else None]
    about = ", ".join(word for word in words if word) if state == "quantized" else head["reason"]
    name = safe(head["name"] or "lm_head")
    return labelled((name, max(_LABEL, len(name) + 2)), (_STATES[state], state), safe(f": {about}"), width)


def _engines(report: VerifyReport, width: int) -> Iterator[Line]:
    yield line(("bold", f"{'Engine':{_ENGINE}}{'Status':{_STATUS}}{'Head':{_SCHEME}}Run by"))
    for engine in report.engines:
        yield _engine(engine, width)
        if engine.error:
            yield paragraph(safe(engine.error), width, indent=2)


def _engine(engine: EngineReport, width: int) -> Line:
    name = f"{engine.engine} {engine.version or ''}".rstrip()
    scheme = (
        (engine.scheme or "dense").removeprefix("CompressedTensors") if engine.status is not Status.UNAVAILABLE else "?"
    )
    ran = f"{engine.kernel} ({engine.device})" if engine.kernel else ""
    status = f"{engine.status!s:{_STATUS}}"
    before = _ENGINE + _STATUS + _SCHEME
    below = "\n" + " " * 2 if before + len(ran) > width else ""
    head = f"{safe(scheme):{_SCHEME}}" if ran and not below else safe(scheme)
    return line(
        ("", f"{safe(name):{_ENGINE}}"), (_STATUS_STYLES[engine.status], status), ("", head + below + safe(ran))
    )


def _logits(report: VerifyReport) -> Iterator[Line]:
    heading = f"{'Logits':{_ENGINE + _STATUS}}{'cosine':>8}{'slope':>9}{'error':>9}{'top-1':>9}{'KL':>10}"
    yield line(("bold", heading))
    for run in report.numeric.logits:
        label = f"{run.engine}, {_against(run)}"
        found = run.compared
        divergence = f"{found.kl:10.1e}" if found.kl is not None else ""
        numbers = f"{found.cosine:8.4f}{found.slope:9.4f}{found.relative_error:9.2%}{found.top1:9.1%}{divergence}"
        yield line(("", f"{label:{_ENGINE + _STATUS}}{numbers}"))


def _against(run: LogitsRun) -> str:
    whose = "own weights" if run.against == "dequantized" else "reference"
    return f"{run.of} vs {whose}"


def _weights(weights: WeightsReport, width: int) -> Iterator[Line]:
    """Yield the comparison with the reference: what is equal, what is near, what is missing."""
    total = weights.total
    label = "weights"
    if weights.modules:
        equal = weights.recomputed and not weights.differences
        how = ", computed again from the reference: every byte is equal" if equal else ""
        yield labelled((label, _LABEL), ("", f"{len(weights.modules)} quantized"), how, width)
        worst, stats = weights.worst(1)[0]
        median = statistics.median(item.sqnr_db for item in weights.modules.values())
        yield _more(f"SQNR median {median:.2f} dB, lowest {stats.sqnr_db:.2f} dB ({worst})", width)
        share = total.beyond / max(1, total.block.weights)
        yield _more(f"{share:.2%} beyond half a step, at most {total.block.largest_error_steps:.3f} steps", width)
        label = ""
    changed = {difference.tensor for difference in weights.differences}
    words = f"{weights.dense} dense, byte for byte the reference's" if not changed else f"{weights.dense} dense"
    yield labelled((label, _LABEL), ("", words), "", width)
    if changed:
        yield _more(f"{len(changed)} not what the reference gives", width)


def _more(words: str, width: int) -> Line:
    return labelled(("", _LABEL), ("", ""), safe(words), width)
