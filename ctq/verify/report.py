"""What a verification found, as values: a report per engine, the numbers, the findings, and the verdict that follows."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ctq.errors import ExitCode
from ctq.findings import Severity
from ctq.inspect.rules.rule import Claim
from ctq.inspect.rules.table import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctq.findings import Finding
    from ctq.verify.comparison import LogitsComparison
    from ctq.verify.numeric.result import WeightsReport

SCHEMA_VERSION = 1
OPEN_QUESTIONS = tuple(rule.code for rule in RULES if rule.claim is Claim.QUESTION)
"""Findings that refute nothing, but leave open whether the weights are the ones that were meant."""


class Status(StrEnum):
    """The judgement of one engine: ``unavailable`` means that it did not answer the question."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"
    UNAVAILABLE = "unavailable"


class Verdict(StrEnum):
    """The judgement of a verification: ``pass`` only when everything asked for was proven."""

    PASS = "pass"  # noqa: S105  # no password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


EXIT_CODES: Mapping[Verdict, ExitCode] = {
    Verdict.PASS: ExitCode.GOOD,
    Verdict.FAIL: ExitCode.NOT_GOOD,
    Verdict.INCONCLUSIVE: ExitCode.FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """What one engine makes of the checkpoint.

    ``missing`` are parameters of the head for which the files hold no tensor, ``unexpected`` tensors that the engine has no
    parameter for, ``never_loaded`` parameters of the whole model that would be served uninitialised, at least in part. ``error``
    says in one line why the status is not ``pass``.
    """

    engine: str
    version: str | None
    device: str | None
    status: Status
    quant_method: str | None = None
    scheme: str | None = None
    kernel: str | None = None
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    never_loaded: tuple[str, ...] = ()
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``engines[]``."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitsRun:
    """Logits that an engine computed, compared with those of other weights.

    ``of`` is ``head`` (the head alone, on hidden states ``[tokens, hidden]``) or ``model`` (all of it, on token ids).
    ``against`` is ``dequantized`` (the same tensors in float32) or ``reference`` (the dense original). ``exercised`` is false where
    a stand-in ran in the place of the engine's own kernel.
    """

    engine: str
    device: str
    kernel: str
    of: str
    against: str
    compared: LogitsComparison
    exercised: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the entry of ``numeric.logits[]``; numbers that are not finite become null, which JSON can hold."""
        fields = {
            "engine": self.engine,
            "device": self.device,
            "kernel": self.kernel,
            "of": self.of,
            "against": self.against,
            **asdict(self.compared),
            "exercised": self.exercised,
            "seconds": self.seconds,
        }
        return {key: _finite(value) for key, value in fields.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineAnswer:
    """What asking one engine gives: its report, its runs of the head, and findings beyond the one line of the report."""

    report: EngineReport
    runs: tuple[LogitsRun, ...] = ()
    findings: tuple[Finding, ...] = ()


def unavailable(engine: str, version: str | None, why: str) -> EngineAnswer:
    """Return the answer of an engine that could not be asked, or gave none."""
    return EngineAnswer(
        report=EngineReport(engine=engine, version=version, device=None, status=Status.UNAVAILABLE, error=why)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericReport:
    """The numbers: every run of the head or the model, and every weight against the reference where one was given."""

    logits: tuple[LogitsRun, ...] = ()
    weights: WeightsReport | None = None

    def to_json(self) -> dict[str, Any]:
        """Return ``numeric{}``."""
        return {
            "logits": [run.to_json() for run in self.logits],
            "weights": self.weights.to_json() if self.weights else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """A whole verification; ``lm_head`` is what `ctq inspect` says of the head."""

    checkpoint: str
    expected: str
    lm_head: Mapping[str, Any]
    engines: tuple[EngineReport, ...]
    numeric: NumericReport = field(default_factory=NumericReport)
    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """``fail`` on any error or failed engine, ``inconclusive`` where something asked for was left undecided, else ``pass``."""
        if any(finding.severity is Severity.ERROR for finding in self.findings):
            return Verdict.FAIL
        statuses = {report.status for report in self.engines}
        if Status.FAIL in statuses:
            return Verdict.FAIL
        open_questions = any(finding.code in OPEN_QUESTIONS for finding in self.findings)
        open_questions |= self.numeric.weights is not None and bool(self.numeric.weights.undecided)
        if Status.UNAVAILABLE in statuses or open_questions or not self.engines:
            return Verdict.INCONCLUSIVE
        return Verdict.PASS

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the verdict."""
        return EXIT_CODES[self.verdict]

    def to_json(self) -> dict[str, Any]:
        """Return the one object that `ctq verify --json` prints."""
        return {
            "schema_version": SCHEMA_VERSION,
            "checkpoint": self.checkpoint,
            "verdict": self.verdict,
            "expected": self.expected,
            "lm_head": dict(self.lm_head),
            "engines": [report.to_json() for report in self.engines],
            "numeric": self.numeric.to_json(),
            "findings": findings_json(self.findings),
        }


def findings_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings as `ctq inspect` prints them."""
    return [asdict(finding) for finding in findings]


def _finite(value: Any) -> Any:  # noqa: ANN401  # any field of a run
    is_number = isinstance(value, float)
    return None if is_number and value - value != 0 else value
