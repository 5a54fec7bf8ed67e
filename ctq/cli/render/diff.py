"""The difference of two checkpoints as text for 80 columns."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ctq.checkpoint.size import size
from ctq.cli.console import safe
from ctq.cli.render.lines import BLANK, labelled, line, paragraph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.cli.console import Line
    from ctq.inspect.diff import Difference
    from ctq.inspect.report import Report

_LABEL = 9
_LONGEST_VALUE = 60


def difference_view(difference: Difference, width: int) -> Iterator[Line]:
    """Yield the two checkpoints, their heads, and every module and key that is not the same."""
    for sign, report in (("-", difference.before), ("+", difference.after)):
        yield labelled(
            (sign, 2), ("", safe(report.facts.checkpoint.label)), f", {size(report.facts.checkpoint.nbytes)}", width
        )
    yield BLANK
    yield labelled(
        ("lm_head", _LABEL), ("", safe(_head(difference.before))), f" -> {safe(_head(difference.after))}", width
    )
    yield BLANK
    for change in difference.modules:
        yield paragraph(safe(change.modules), width)
        sizes = f"{size(change.bytes_before)} -> {size(change.bytes_after)}"
        yield paragraph(safe(f"{change.before or 'absent'} -> {change.after or 'absent'}, {sizes}"), width, indent=2)
    if difference.config:
        yield BLANK
    for key in difference.config:
        yield paragraph(safe(f"config.json: {key.key}"), width)
        yield paragraph(safe(f"{_value(key.before)} -> {_value(key.after)}"), width, indent=2)
    if not difference.modules and not difference.config:
        yield line(("bold", "no difference in modules and config"))


def _head(report: Report) -> str:
    head = report.facts.head
    return f"{head.state} ({head.scheme})" if head.scheme else str(head.state)


def _value(value: object) -> str:
    text = "absent" if value is None else json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
