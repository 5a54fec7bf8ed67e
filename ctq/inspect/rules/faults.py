"""What opening a checkpoint found, as findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.rules.rule import Hit, more_like_this

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.checkpoint.faults import Fault, FaultKind
    from ctq.inspect.facts.facts import Facts


def faults_of(facts: Facts, kind: FaultKind) -> list[Fault]:
    """Return the faults of one kind that opening the checkpoint found."""
    return [fault for fault in facts.checkpoint.faults if fault.kind is kind]


def one_of_kind(facts: Facts, kind: FaultKind, hint: str) -> Iterator[Hit]:
    """Make one finding of all faults of a kind."""
    yield from one_of(faults_of(facts, kind), hint)


def one_of(faults: Sequence[Fault], hint: str) -> Iterator[Hit]:
    """Make one finding of faults, at the first of them."""
    if faults:
        first = faults[0]
        yield Hit(where=first.tensor or first.file, message=first.message + more_like_this(faults), hint=hint)
