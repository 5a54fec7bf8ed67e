"""What ctq says of a checkpoint: inspection and verification by the library, as the command line would call them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CtqError
from ctq.findings import Severity
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, inspect_checkpoint
from ctq.verify.engine_names import EngineName
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify
from ctq.verify.subject import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ctq.inspect.facts.facts import Expected

VLLM: Final = "0.32.0"
"""The release that the sweeps run."""
REFUSAL: Final = "refused"
"""The claim of a command that ends with exit code 3: it says that it cannot judge, which is no pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What the commands say.

    ``errors`` are inspection's findings of that severity, as it is called by default, ``deep`` those that `--deep` adds; ``head``
    its state of the head and ``verdict`` what it expects of vLLM; ``verified`` is what `ctq verify` says of the checkpoint's own
    promise, ``proven`` of a head expected quantized; ``compared`` of the numbers, where a reference was given. ``crash`` is the
    traceback that a user would see.
    """

    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    deep: tuple[str, ...] = ()
    head: str = ""
    verdict: str = ""
    verified: str = ""
    proven: str = ""
    compared: str = ""
    why: str = ""
    expected: str = ""
    crash: str = ""


def claims_of(folder: Path, *, reference: Path | None = None) -> Claims:
    """Ask inspection and the builtin engine; with ``reference`` the numbers too."""
    return _caught(lambda: _claims(folder, reference))


def inspected(folder: Path) -> Claims:
    """Ask inspection alone, by headers."""
    return _caught(lambda: _inspection(folder, deep=False))


def _caught(ask: Callable[[], Claims]) -> Claims:
    try:
        return ask()
    except CtqError as error:
        return Claims(
            errors=(REFUSAL,), verdict=REFUSAL, verified=REFUSAL, proven=REFUSAL, compared=REFUSAL, why=error.message
        )
    except Exception as error:  # noqa: BLE001  # a traceback of ours is a result of the sweep too
        return Claims(crash=f"{type(error).__name__}: {error}")


def _inspection(folder: Path, *, deep: bool) -> Claims:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions(deep=deep))
    found = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    return Claims(
        errors=tuple(f"{item.code} {item.message}" for item in found if not item.code.startswith("DEP")),
        warnings=tuple(f"{item.code} {item.message}" for item in report.findings if item.severity is Severity.WARNING),
        deep=tuple(f"{item.code} {item.message}" for item in found if item.code.startswith("DEP")),
        head=str(report.facts.head.state),
        expected=declared(report.facts),
    )


def _claims(folder: Path, reference: Path | None) -> Claims:
    said = _inspection(folder, deep=True)
    pinned = inspect_checkpoint(
        open_checkpoint(LocalFolder(folder)), InspectOptions(engines=(EngineRequest("vllm", VLLM),))
    )
    verified, why, expected = _verified(folder, None)
    proven, _, _ = _verified(folder, "quantized")
    compared, numbers, _ = _verified(folder, None, reference) if reference else ("", "", "")
    return replace(
        said,
        verdict=next((item.outcome.verdict for item in pinned.facts.engines if item.engine == "vllm"), ""),
        verified=verified,
        proven=proven,
        compared=compared,
        why=numbers or why,
        expected=expected,
    )


def _verified(folder: Path, expected: Expected | None, reference: Path | None = None) -> tuple[str, str, str]:
    request = VerifyRequest(
        checkpoint=folder,
        expected=expected,
        engines=(EngineName("builtin", VLLM),),
        reference=reference,
        tokens=16,
        workers=1,
    )
    try:
        report = verify(request)
    except CtqError as error:
        return REFUSAL, error.message, ""
    reasons = [engine.error for engine in report.engines if engine.error] + [
        f"{finding.code} {finding.message}" for finding in report.findings
    ]
    return str(report.verdict), "; ".join(reasons), report.expected


def read_claims(value: Mapping[str, Any]) -> Claims:
    """Read what ``dataclasses.asdict`` gave, by way of JSON."""
    return Claims(**{key: tuple(item) if isinstance(item, list) else item for key, item in value.items()})
