"""A finding: one thing that is wrong or worth knowing about a checkpoint, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


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


def named(names: Sequence[str], most: int = 3, *, count: int | None = None) -> str:
    """Return the first ``most`` names in a sentence, and how many more there are; ``count`` is that of all where a list is cut."""
    more = (len(names) if count is None else count) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


class Documented(Protocol):
    """A kind of finding with its documentation: a rule of inspection, or a code of verification."""

    @property
    def code(self) -> str:
        """Three letters of the family and a number."""

    @property
    def name(self) -> str:
        """The defect in a few words."""

    @property
    def severity(self) -> Severity:
        """The gravest that its findings have."""

    @property
    def summary(self) -> str:
        """One sentence."""

    @property
    def sections(self) -> Mapping[str, str]:
        """The documentation by heading."""
