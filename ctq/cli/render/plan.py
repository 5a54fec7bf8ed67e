"""The plan of `--dry-run` as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.size import size
from ctq.cli.console import safe
from ctq.cli.render.lines import entry, line
from ctq.quantize.report import hardware, module_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.cli.console import Line
    from ctq.quantize.plan import Plan


def plan_view(plan: Plan, width: int) -> Iterator[Line]:
    """Yield the plan, head first, then what is quantized, what stays dense and why, then the files."""
    yield line(("bold", safe(f"{plan.source.label} ({plan.source.config.architecture or 'unknown architecture'})")))
    yield from (entry(label, words, width) for label, words in _entries(plan))


def _entries(plan: Plan) -> Iterator[tuple[str, str]]:
    yield "head", head_words(plan)
    counts = module_counts(plan)
    for scheme, count in counts["quantized"].items():
        yield "quantize", f"{count} linear layers as {scheme}"
    for reason, count in counts["dense"].items():
        yield "dense", f"{count} {reason}"
    for name, file in plan.files.items():
        yield "file", f"{name}  {size(file.nbytes)}"
    yield "bytes", f"{size(plan.nbytes_before)} -> {size(plan.nbytes_after)}"
    yield from (("hardware", words) for words in hardware(plan))
    yield from (("note", note) for note in plan.notes)


def head_words(plan: Plan) -> str:
    """Return one line on the head: its state after the run, its scheme, its sizes, and who decided."""
    head, decisions = plan.head, plan.decisions
    if decisions.head is None:
        return "none: the model has no head"
    name = decisions.head.name
    if decisions.head_scheme is None:
        state = "tied to the embedding, dense" if head.state == "tied" else f"dense, {size(head.nbytes_dense)}"
        return f"{name}: {state} ({decisions.head_reason})"
    sizes = f"{size(head.nbytes_dense)} -> {size(head.nbytes_quantized)}"
    return f"{name}: quantized, {decisions.head_scheme.name}, {sizes} ({decisions.head_reason})"
