"""The check that `ctq quantize` makes of its own result: the builtin engine alone, on few hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq import events
from ctq.verify.engine_names import EngineName
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

if TYPE_CHECKING:
    from pathlib import Path

    from ctq.inspect.facts.facts import Expected
    from ctq.verify.report import VerifyReport

_JOB = "checking the result"
_TOKENS = 16
"""Enough to tell a right head from a wrong one, and half the time of the default."""


def check_result(out: Path, *, head_quantized: bool, on_event: events.OnEvent = events.ignore) -> VerifyReport:
    """Verify a result through dispatch: its head is what was asked for, loads, runs, and agrees with its own weights.

    Raises:
        CheckpointError: the result cannot be read.

    """
    expected: Expected = "quantized" if head_quantized else "dense"
    request = VerifyRequest(checkpoint=out, expected=expected, engines=(EngineName("builtin"),), tokens=_TOKENS)
    on_event(events.Started(_JOB, None))
    report = verify(request, on_event=on_event)
    on_event(events.Finished(_JOB))
    return report
