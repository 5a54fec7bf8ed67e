"""The verdict follows from engines, numbers and findings, and the exit code from the verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ctq.errors import ExitCode
from ctq.findings import Finding, Severity
from ctq.verify.comparison import LogitsComparison
from ctq.verify.numeric.result import WeightsReport
from ctq.verify.report import EngineReport, LogitsRun, NumericReport, Status, Verdict, VerifyReport, unavailable

HEAD = {"name": "lm_head", "state": "quantized"}


def engine(status: Status) -> EngineReport:
    return EngineReport(engine="builtin", version="0.33.0", device="cpu", status=status)


def report(*statuses: Status, **more: Any) -> VerifyReport:
    engines = tuple(engine(status) for status in statuses)
    return VerifyReport(checkpoint="x", expected="quantized", lm_head=HEAD, engines=engines, **more)


def finding(severity: Severity) -> Finding:
    return Finding(code="VER001", name="n", severity=severity, message="m", where="w", hint="h")


def weights(*undecided: str) -> WeightsReport:
    return WeightsReport(reference="r", modules={}, dense=1, recomputed=False, undecided=undecided)


@pytest.mark.parametrize(
    ("found", "verdict", "code"),
    [
        (report(Status.PASS), Verdict.PASS, ExitCode.GOOD),
        (report(Status.PASS, Status.FAIL), Verdict.FAIL, ExitCode.NOT_GOOD),
        (report(Status.PASS, Status.UNAVAILABLE), Verdict.INCONCLUSIVE, ExitCode.FAILED),
        (report(Status.FAIL, Status.UNAVAILABLE), Verdict.FAIL, ExitCode.NOT_GOOD),
        (report(), Verdict.INCONCLUSIVE, ExitCode.FAILED),
        (report(Status.PASS, findings=(finding(Severity.ERROR),)), Verdict.FAIL, ExitCode.NOT_GOOD),
        (report(Status.PASS, findings=(finding(Severity.WARNING),)), Verdict.PASS, ExitCode.GOOD),
        (report(Status.PASS, numeric=NumericReport(weights=weights("why"))), Verdict.INCONCLUSIVE, ExitCode.FAILED),
        (report(Status.PASS, numeric=NumericReport(weights=weights())), Verdict.PASS, ExitCode.GOOD),
    ],
)
def test_verdict_and_exit_code(found: VerifyReport, verdict: Verdict, code: ExitCode) -> None:
    assert (found.verdict, found.exit_code) == (verdict, code)


def test_the_json_has_the_keys_of_the_contract() -> None:
    found = report(Status.PASS, findings=(finding(Severity.NOTE),)).to_json()
    assert list(found) == [
        *("schema_version", "checkpoint", "verdict", "expected", "lm_head", "engines", "numeric", "findings"),
    ]
    assert list(found["engines"][0]) == [
        *("engine", "version", "device", "status", "quant_method", "scheme", "kernel"),
        *("missing", "unexpected", "never_loaded", "error"),
    ]
    assert json.loads(json.dumps(found))["findings"] == [
        {"code": "VER001", "name": "n", "severity": "note", "message": "m", "where": "w", "hint": "h"}
    ]


def test_numbers_that_are_not_finite_become_null() -> None:
    run = LogitsRun(
        engine="builtin", device="cpu", kernel="k", of="head", against="dequantized", exercised=True, seconds=0.0,
        compared=LogitsComparison(
            tokens=1, rows=2, cosine=float("nan"), slope=float("inf"), relative_error=1.0, top1=0.0, kl=None, finite=False
        ),
    )  # fmt: skip
    found = run.to_json()
    assert list(found) == [
        *("engine", "device", "kernel", "of", "against", "tokens", "rows", "cosine", "slope", "relative_error", "top1"),
        *("kl", "finite", "exercised", "seconds"),
    ]
    assert (found["cosine"], found["slope"], found["relative_error"]) == (None, None, 1.0)
    json.dumps(found, allow_nan=False)


def test_an_engine_that_could_not_be_asked_says_why() -> None:
    answer = unavailable("vllm", "0.32.0", "not installed")
    assert (answer.report.status, answer.report.error, answer.runs) == (Status.UNAVAILABLE, "not installed", ())
