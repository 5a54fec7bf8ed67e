"""Selecting rules and running them: consequences of a finding are not reported beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.errors import UsageError
from ctq.findings import Finding, Severity
from ctq.inspect.rules.table import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit, Rule

_BY_CODE = {rule.code: rule for rule in RULES}


@dataclass(frozen=True, slots=True)
class Selection:
    """Codes or prefixes of codes: ``select`` (empty means all) minus ``ignore``."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def holds(self, rule: Rule) -> bool:
        """Whether findings of ``rule`` are wanted."""
        selected = not self.select or _matches(rule, self.select)
        return selected and not _matches(rule, self.ignore)


def require_known(selection: Selection) -> None:
    """Refuse a code or prefix that names no rule.

    Raises:
        UsageError: naming it.

    """
    for word in (*selection.select, *selection.ignore):
        if not any(_matches(rule, (word,)) for rule in RULES):
            raise UsageError(f"no rule '{word}'", hint="`ctq rules` lists them; a prefix like HED names a family")


def find(facts: Facts, selection: Selection) -> tuple[Finding, ...]:
    """Run the selected rules, gravest findings first.

    Rules that a selected one yields to are run as well, so that leaving one out never brings up its consequences.
    """
    run = _Run(facts)
    wanted = [finding for rule in RULES if selection.holds(rule) for finding in run.findings(rule.code)]
    return tuple(sorted(wanted, key=lambda finding: finding.severity.rank))


class _Run:
    """One run of the rules; each is run at most once, after those that it yields to."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._done: dict[str, list[Finding]] = {}

    def findings(self, code: str) -> list[Finding]:
        """Return what the rule finds, but for what it yields to another of that found something as grave."""
        if code not in self._done:
            rule = _BY_CODE[code]
            ranks = [finding.severity.rank for other in rule.unless for finding in self.findings(other)]
            gravest = min(ranks, default=len(Severity))
            found = [] if gravest == Severity.ERROR.rank else [_finding(rule, hit) for hit in rule.check(self._facts)]
            self._done[code] = [finding for finding in found if finding.severity.rank < gravest]
        return self._done[code]


def _matches(rule: Rule, words: Iterable[str]) -> bool:
    return any(rule.code.startswith(word.upper()) or rule.name == word.lower() for word in words if word)


def _finding(rule: Rule, hit: Hit) -> Finding:
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=hit.severity or rule.severity,
        message=hit.message,
        where=hit.where,
        hint=hit.hint,
    )
