"""The plan of `--dry-run` as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.cli.render.size import size
from ctq.quantize.report import hardware, module_counts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.quantize.plan import Plan


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield the plan, head first, then what is quantized, what stays dense and why, then the files."""
    yield f"{plan.source.label} ({plan.source.config.architecture or 'unknown architecture'})"
    yield f"head      {head_words(plan)}"
    counts = module_counts(plan)
    for scheme, count in counts["quantized"].items():
        yield f"quantize  {count} linear layers as {scheme}"
    for reason, count in counts["dense"].items():
        yield f"dense     {count} {reason}"
    for name, file in plan.files.items():
        yield f"file      {name}  {size(file.nbytes)}"
    yield f"bytes     {size(plan.nbytes_before)} -> {size(plan.nbytes_after)}"
    for line in hardware(plan):
        yield f"hardware  {line}"
    for note in plan.notes:
        yield f"note      {note}"


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
