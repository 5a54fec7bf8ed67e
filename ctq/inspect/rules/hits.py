"""One finding of all modules with one defect, as ``ctq.inspect.facts.defects`` diagnosed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.findings import Severity
from ctq.inspect.rules.rule import about

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.diagnosis import Defect
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit


def with_defect(facts: Facts, defect: Defect) -> list[Entry]:
    """Return the sets of modules with one defect."""
    return [entry for entry in facts.entries if entry.diagnosis is not None and entry.diagnosis.defect is defect]


def hits_of(entries: list[Entry], what: str, hint: str) -> Iterator[Hit]:
    """Make one finding of all modules with the same defect, with the first one's details."""
    if entries:
        first = entries[0].diagnosis
        detail = first.detail if first is not None else ""
        yield about(entries, f"{what}{detail}{words_of(entries)}", hint, severity_of(entries))


def severity_of(entries: list[Entry]) -> Severity | None:
    """Return a warning for modules that vLLM serves all the same, and the rule's own severity otherwise."""
    tolerated = all(entry.diagnosis is not None and entry.diagnosis.tolerated for entry in entries)
    return Severity.WARNING if tolerated else None


def words_of(entries: list[Entry]) -> str:
    """Return the words for modules that vLLM serves all the same."""
    return " (vLLM serves them all the same)" if severity_of(entries) else ""
