"""What inspection has against a checkpoint, as its codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def error_list(folder: Path) -> list[str]:
    """Return the code of each error, in the report's order."""
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    return [finding.code for finding in report.findings if finding.severity is Severity.ERROR]


def errors(folder: Path) -> set[str]:
    """Return the codes of errors, each once."""
    return set(error_list(folder))
