"""A report of inspection as text for 80 columns: the head first, modules folded, findings last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.size import size
from ctq.cli.console import safe
from ctq.cli.render.findings import findings_view
from ctq.cli.render.lines import BLANK, labelled, line, paragraph, table
from ctq.inspect.facts.entries import State
from ctq.inspect.modules.fold import counted_name
from ctq.inspect.modules.forms import Form
from ctq.inspect.modules.words import scheme_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.cli.console import Line
    from ctq.cli.render.lines import Row
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.report import Report

_STATE_STYLES = {
    State.QUANTIZED: "green",
    State.DENSE: "yellow",
    State.TIED: "yellow",
    State.ABSENT: "yellow",
    State.BROKEN: "bold red",
}
_VERDICT_STYLES = {"quantized": "green", "dense": "yellow", "fails": "bold red", "garbage": "bold red", "unknown": ""}
_AGREES = {State.QUANTIZED: ("quantized",), State.DENSE: ("dense",), State.TIED: ("dense",)}
"""Verdicts that need no reason beside the state."""
_LABEL = 11
"""Least width of the column of labels."""


def report_view(report: Report, width: int, *, unfolded: bool) -> Iterator[Line]:
    """Yield what is to be shown, from top to bottom; ``unfolded`` lists every module by its own name."""
    facts = report.facts
    yield line(("", safe(facts.checkpoint.label)))
    yield paragraph(_summary(facts), width, style="dim")
    yield BLANK
    yield from _head(report, width)
    yield BLANK
    if facts.entries:
        yield from _modules(facts, width, unfolded=unfolded)
        yield BLANK
        yield from _costs(report, width)
        yield BLANK
    yield from findings_view(report.findings, width)


def _head(report: Report, width: int) -> Iterator[Line]:
    head = report.facts.head
    engines = [f"{verdict.engine} {verdict.version}" for verdict in report.facts.engines]
    column = max(_LABEL, *(len(word) + 2 for word in (head.name or "", *engines)))
    state = (_STATE_STYLES[head.state], str(head.state))
    yield labelled((safe(head.name or "lm_head"), column), state, safe(_head_words(report)), width)
    for label, verdict in zip(engines, report.facts.engines, strict=True):
        reason = "" if verdict.outcome.verdict in _AGREES.get(head.state, ()) else f": {verdict.outcome.reason}"
        yield labelled(
            (label, column), (_VERDICT_STYLES[verdict.outcome.verdict], verdict.outcome.verdict), safe(reason), width
        )


def _summary(facts: Facts) -> str:
    checkpoint = facts.checkpoint
    shards = len(checkpoint.headers)
    return safe(
        f"{checkpoint.config.architecture or 'no architecture'}, {_method(facts)}, {size(checkpoint.nbytes)} in "
        f"{shards} file{'s' if shards != 1 else ''}, {len(checkpoint.tensors)} tensors"
    )


def _method(facts: Facts) -> str:
    if facts.quant is None:
        return "no quantization config" if facts.quantized else "dense"
    return " ".join(filter(None, (facts.method or "unnamed method", facts.quant.format)))


def _head_words(report: Report) -> str:
    """Return what follows the state of the head: scheme and target, or the reason."""
    head, cost = report.facts.head, report.cost
    if head.state is not State.QUANTIZED:
        return f": {head.reason}"
    words = [head.scheme or "", f"matched by `{head.match.target}`" if head.match.target else ""]
    if cost.head and cost.head_dense > cost.head:
        words.append(f"{cost.head_dense / cost.head:.1f}x smaller")
    return ": " + ", ".join(word for word in words if word)


def _modules(facts: Facts, width: int, *, unfolded: bool) -> Iterator[Line]:
    rows = _unfolded_rows(facts) if unfolded else _folded_rows(facts)
    yield from table(("Modules", ("", "Stored as"), "Size"), list(rows), width)


def _folded_rows(facts: Facts) -> Iterator[Row]:
    small: list[Entry] = []
    for entry in sorted(facts.entries, key=lambda entry: (_rank(entry), entry.modules.template, entry.modules.numbers)):
        if _is_small(entry):
            small.append(entry)
        else:
            yield safe(counted_name(entry.modules)), _words(entry, facts), size(entry.modules.nbytes)
    if small:
        count, total = sum(entry.modules.count for entry in small), sum(entry.modules.nbytes for entry in small)
        yield f"norms and other small parameters x{count}", ("", "dense"), size(total)


def _unfolded_rows(facts: Facts) -> Iterator[Row]:
    rows = []
    for entry in facts.entries:
        shared = (_words(entry, facts), size(entry.modules.nbytes_each))
        places = zip(entry.modules.numbers, entry.modules.names, strict=True)
        rows += [((_rank(entry), numbers, name), *shared) for numbers, name in places]
    for (_, _, name), words, nbytes in sorted(rows, key=lambda row: row[0]):
        yield safe(name), words, nbytes


def _words(entry: Entry, facts: Facts) -> tuple[str, str]:
    return (_STATE_STYLES[State.BROKEN] if entry.state is State.BROKEN else "", safe(_stored(entry, facts)))


def _rank(entry: Entry) -> int:
    """Order as the model computes: what stands before and beside the layers, the layers, the head."""
    if entry.is_head:
        return 2
    return 1 if entry.modules.numbers[0] else 0


def _is_small(entry: Entry) -> bool:
    """Tell whether a set may be summed up: healthy, dense and no matrix."""
    if entry.stored.is_quantized or entry.diagnosis is not None or entry.is_head:
        return False
    return all(len(part.shape) < 2 for part in entry.modules.parts.values())  # a matrix is worth a line


def _stored(entry: Entry, facts: Facts) -> str:
    words = scheme_words(entry.stored, facts.raw_quantization)
    if words is None:
        words = {Form.FROZEN: "dense, with scales", Form.NO_WEIGHT: "no weight"}.get(entry.stored.form) or _dense(entry)
    return f"{words} (broken)" if entry.state is State.BROKEN else words


def _dense(entry: Entry) -> str:
    part = next(iter(entry.modules.parts.values()))
    return f"dense {part.dtype}"


def _costs(report: Report, width: int) -> Iterator[Line]:
    cost = report.cost
    kinds = ", ".join(f"{kind} {size(nbytes)}" for kind, nbytes in cost.by_kind.items())
    yield labelled(("size", _LABEL), ("", kinds), "", width)
    yield labelled(
        ("per token", _LABEL), ("", size(cost.per_token)), " of weights read while decoding one sequence", width
    )
    if cost.head_saves > 0:
        saves = f"saves {size(cost.head_saves)}" if cost.head_quantized else f"int8 would save {size(cost.head_saves)}"
        gain = f" of that: decoding about {cost.decode_gain:.2f}x as fast as with a dense head"
        yield labelled(("head", _LABEL), ("", saves), gain, width)
