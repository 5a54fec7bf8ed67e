"""The check that `ctq quantize` makes of its own result: the builtin engine alone, on few hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.verify.engine_names import EngineName
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

if TYPE_CHECKING:
    from pathlib import Path

    from ctq.verify.report import VerifyReport
    from ctq.verify.request import Expectation

_TOKENS = 16
"""Enough to tell a right head from a wrong one, and half the time of the default."""


def check_result(out: Path, *, head_quantized: bool) -> VerifyReport:
    """Verify a result through dispatch: its head is what was asked for, loads, runs, and agrees with its own weights.

    Raises:
        CheckpointError: the result cannot be read.

    """
    expected: Expectation = "quantized" if head_quantized else "dense"
    return verify(VerifyRequest(checkpoint=out, expected=expected, engines=(EngineName("builtin"),), tokens=_TOKENS))
