"""The summary of a finished run as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.cli.render.plan import head_words
from ctq.cli.render.size import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.quantize.plan import Plan


def summary_lines(plan: Plan, summary: dict[str, Any]) -> Iterator[str]:
    """Yield the summary, head first; ``summary`` is the value that `--json` prints."""
    yield f"head      {head_words(plan)}"
    for scheme, count in summary["modules"]["quantized"].items():
        yield f"body      {count} linear layers as {scheme}"
    yield f"bytes     {size(summary['bytes_before'])} -> {size(summary['bytes_after'])}"
    rate = summary["bytes_per_second"]
    yield f"time      {summary['seconds']:.1f} s" + (f", {size(rate)}/s" if rate else "")
    yield from _sqnr(summary["sqnr_db"])
    for line in summary["hardware"]:
        yield f"hardware  {line}"
    for note in summary["notes"]:
        yield f"note      {note}"
    yield f"output    {summary['output']}"


def _sqnr(values: dict[str, Any]) -> Iterator[str]:
    if values["median"] is None:
        return
    head = f", head {values['lm_head']:.2f} dB" if values["lm_head"] is not None else ""
    yield f"SQNR      median {values['median']:.2f} dB, lowest {values['minimum']:.2f} dB ({values['minimum_module']}){head}"
