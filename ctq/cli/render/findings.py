"""Findings as text, each with what to change, and the documentation of rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.cli.console import safe
from ctq.cli.render.lines import BLANK, line, paragraph
from ctq.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.cli.console import Line
    from ctq.findings import Documented, Finding

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_SHOWN = 3
"""Findings of one code and one remedy that are printed; a wrong reference has hundreds."""


def findings_view(findings: Sequence[Finding], width: int) -> Iterator[Line]:
    """Yield the findings, those of one code and one remedy together, and a count of them."""
    alike: dict[tuple[str, Severity, str], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.code, finding.severity, finding.hint), []).append(finding)
    for group in alike.values():
        yield from _group(group, width)
        yield BLANK
    yield line(("bold", count(findings)))


def _group(group: Sequence[Finding], width: int) -> Iterator[Line]:
    """Yield findings that differ in place alone: the first few, how many more, and what to do once."""
    first = group[0]
    times = f" x{len(group)}" if len(group) > 1 else ""
    yield line((STYLES[first.severity], str(first.severity)), ("", f" {first.code} {first.name}{times}"))
    for finding in group[:_SHOWN]:
        where = "" if finding.where in finding.message else f"{finding.where}: "
        yield paragraph(safe(where + finding.message), width, indent=2)
    if len(group) > _SHOWN:
        yield paragraph(f"and {len(group) - _SHOWN} more like these; --json lists all", width, indent=2)
    yield paragraph(safe(f"-> {first.hint}"), width, indent=2, style="green")


def count(findings: Sequence[Finding]) -> str:
    """Return how many findings there are of each severity."""
    counts = {severity: sum(finding.severity is severity for finding in findings) for severity in Severity}
    words = [f"{number} {severity}{'s' if number > 1 else ''}" for severity, number in counts.items() if number]
    return ", ".join(words) or "no findings"


def rules_view(rules: Sequence[Documented], families: dict[str, str]) -> Iterator[Line]:
    """Yield one line for each rule, by family."""
    for family, title in families.items():
        members = [rule for rule in rules if rule.code.startswith(family)]
        if members:
            yield line(("bold", title))
            yield from (_row(rule) for rule in members)
            yield BLANK


def _row(rule: Documented) -> Line:
    return line(("bold", f"  {rule.code}"), (STYLES[rule.severity], f"  {rule.severity:<7}"), ("", f"  {rule.name}"))


def rule_view(rule: Documented, width: int) -> Iterator[Line]:
    """Yield the documentation of one rule."""
    yield line(("bold", f"{rule.code} {rule.name}"), ("", " ("), (STYLES[rule.severity], str(rule.severity)), ("", ")"))
    yield BLANK
    yield paragraph(rule.summary, width)
    for heading, text in rule.sections.items():
        yield BLANK
        yield line(("bold", heading))
        yield from _body(text, width)


def _body(text: str, width: int) -> Iterator[Line]:
    """Yield paragraphs wrapped anew, and code as it stands."""
    for number, block in enumerate(text.split("```")):
        if number % 2:  # between two fences
            yield line(("", "  " + block.partition("\n")[2].strip().replace("\n", "\n  ")))
        else:
            paragraphs = (" ".join(piece.split()) for piece in block.split("\n\n"))
            yield from (paragraph(piece, width, indent=2) for piece in paragraphs if piece)
