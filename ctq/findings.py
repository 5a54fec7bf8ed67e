"""A finding: one thing that is wrong or worth knowing about a checkpoint, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters: an error is refused or served wrong by an engine."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """Order by weight: 0 for the gravest."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, where, and what to do.

    ``where`` names a file, a tensor, a module or a configuration key; ``hint`` is the next step for whoever reads it.
    """

    code: str
    name: str
    severity: Severity
    message: str
    where: str
    hint: str
