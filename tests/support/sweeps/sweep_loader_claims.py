"""What ctq says of a checkpoint in transformers: inspection with that engine asked for, as the command line would call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CtqError
from ctq.findings import Severity
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

ENGINE: Final = "transformers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The verdict on the head, and the errors, with ``--engine transformers``."""

    verdict: str
    findings: tuple[str, ...] = ()

    @property
    def is_bad(self) -> bool:
        """Whether a user is told that transformers will not serve it."""
        return bool(self.findings) or self.verdict in ("fails", "garbage")


def said_of(folder: Path) -> Said:
    """Ask inspection; what it cannot read, it refuses."""
    try:
        report = inspect_checkpoint(
            open_checkpoint(LocalFolder(folder)), InspectOptions(engines=(EngineRequest(ENGINE),))
        )
    except CtqError as error:
        return Said(verdict="fails", findings=(error.message,))
    errors = tuple(f"{item.code} {item.message}" for item in report.findings if item.severity is Severity.ERROR)
    return Said(verdict=report.facts.engines[0].outcome.verdict, findings=errors)
