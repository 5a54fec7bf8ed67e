"""The summary of a finished run as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.checkpoint.size import size
from ctq.cli.render.lines import UNBROKEN, entry
from ctq.cli.render.plan import head_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.cli.console import Line
    from ctq.quantize.plan import Plan


def summary_view(plan: Plan, summary: dict[str, Any], verified: str | None, width: int) -> Iterator[Line]:
    """Yield the summary, head first; ``summary`` is the value that `--json` prints, ``verified`` what the check found."""
    yield from (entry(label, words, width) for label, words in _entries(plan, summary))
    yield entry("output", str(summary["output"]), UNBROKEN)  # a path stays in one piece, to be copied
    if verified is not None:
        yield entry("verified", verified, width)


def _entries(plan: Plan, summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "head", head_words(plan)
    quantized, dense = summary["modules"]["quantized"], summary["modules"]["dense"]
    for scheme, count in quantized.items():
        yield "body", f"{count} linear layers as {scheme}"
    if not quantized:
        yield "body", "left dense: " + ", ".join(f"{count} {reason}" for reason, count in dense.items())
    yield "bytes", f"{size(summary['bytes_before'])} -> {size(summary['bytes_after'])}"
    rate = summary["bytes_per_second"]
    yield "time", f"{summary['seconds']:.1f} s" + (f", {size(rate)}/s" if rate else "")
    if summary["resumed_units"]:
        yield "resumed", f"{summary['resumed_units']} units were done before; SQNR is of what this run quantized"
    yield from _sqnr(summary["sqnr_db"])
    yield from (("hardware", words) for words in summary["hardware"])
    yield from (("note", note) for note in summary["notes"])


def _sqnr(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if values["median"] is None:
        return
    head = f", head {values['lm_head']:.2f} dB" if values["lm_head"] is not None else ""
    lowest = f"lowest {values['minimum']:.2f} dB ({values['minimum_module']})"
    yield "SQNR", f"median {values['median']:.2f} dB, {lowest}{head}"
