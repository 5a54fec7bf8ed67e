"""Where ctq and the engine disagree about a checkpoint, by kind: the two that must not happen, and what is left open."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from sweep_claims import REFUSAL
from sweep_truth import Truth

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sweep_claims import Claims


class Kind(StrEnum):
    """How a command disagrees with the engine; ``open`` is a verification that could not decide, which ships nothing."""

    FALSE_PASS = "false pass"  # no password
    FALSE_ALARM = "false alarm"
    OPEN = "open"
    CRASH = "crash"


def disagreements(truth: Truth, claims: Claims) -> tuple[tuple[str, Kind], ...]:
    """Return each command that says otherwise than the engine did, with how; an undecided load contradicts nobody."""
    if claims.crash:
        return (("ctq", Kind.CRASH),)
    if truth is Truth.UNDECIDED:
        return ()
    return (*inspection(truth, claims), *_verification(truth, claims), *_proof(truth, claims))


def is_right(truth: Truth, claims: Claims) -> bool:
    """Whether the engine serves the checkpoint as its own config promises."""
    promised = {"quantized": Truth.QUANTIZED, "dense": Truth.DENSE}.get(claims.expected, truth)
    return truth.is_good and truth is promised


def inspection(truth: Truth, claims: Claims) -> Iterator[tuple[str, Kind]]:
    """Yield how inspection disagrees."""
    if is_right(truth, claims) and claims.errors:
        yield "inspect", Kind.FALSE_ALARM
    elif not is_right(truth, claims) and not claims.errors and not _is_warned(truth, claims):
        yield "inspect", Kind.FALSE_PASS


def _is_warned(truth: Truth, claims: Claims) -> bool:
    """Whether the engine serves what the files hold, and inspection warns that the config says otherwise of the head."""
    return truth.is_good and claims.head == "broken" and bool(claims.warnings)


def _verification(truth: Truth, claims: Claims) -> Iterator[tuple[str, Kind]]:
    yield from _judged("verify", claims.verified, right=is_right(truth, claims))


def _proof(truth: Truth, claims: Claims) -> Iterator[tuple[str, Kind]]:
    yield from _judged("verify --expect-lm-head quantized", claims.proven, right=truth is Truth.QUANTIZED)


def _judged(command: str, verdict: str, *, right: bool) -> Iterator[tuple[str, Kind]]:
    if verdict == "pass" and not right:
        yield command, Kind.FALSE_PASS
    elif verdict in ("fail", REFUSAL) and right:
        yield command, Kind.FALSE_ALARM
    elif verdict == "inconclusive" and right:
        yield command, Kind.OPEN
