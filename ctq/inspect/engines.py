"""What each engine will make of the head: the verdicts of ``ctq.engines`` for the engines that were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.inspect.facts import Facts

Verdict = Literal["quantized", "dense", "fails", "garbage", "unknown"]


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """An engine to judge the head by; ``version`` None is the newest known."""

    engine: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class EngineVerdict:
    """What one release of an engine does with the head.

    ``decides`` says whether a bad verdict is an error: for an engine that was asked for, and for vLLM.
    """

    engine: str
    version: str
    verdict: Verdict
    reason: str
    decides: bool = True


def judge_head(facts: Facts, requests: Sequence[EngineRequest]) -> tuple[EngineVerdict, ...]:
    """Ask each engine."""
    del facts, requests
    return ()
