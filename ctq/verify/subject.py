"""The checkpoint under verification, opened once: its facts, what is expected of its head, and the reference beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ctq.checkpoint.checkpoint import open_checkpoint, require_sound
from ctq.checkpoint.faults import FaultKind
from ctq.checkpoint.source import LocalFolder
from ctq.engines.vllm_models.registry import as_loaded
from ctq.errors import CheckpointError
from ctq.inspect.deep import examine
from ctq.inspect.facts.collect import collect_facts
from ctq.inspect.facts.engines import with_engines
from ctq.verify.hidden_states import check_states

if TYPE_CHECKING:
    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.inspect.facts.facts import Expected, Facts
    from ctq.verify.request import VerifyRequest

_UNREADABLE = frozenset(
    {
        FaultKind.CONFIG_MISSING,
        FaultKind.CONFIG_INVALID,
        FaultKind.HEADER,
        FaultKind.INDEX_INVALID,
        FaultKind.SHARD_MISSING,
    }
)
"""Faults without whose cure nothing can be proven; of the others inspection's findings tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What every engine is given; ``expected`` is decided, by the request or by the checkpoint's own config."""

    request: VerifyRequest
    checkpoint: Checkpoint
    facts: Facts
    expected: Expected
    reference: Checkpoint | None = None

    @property
    def expects_quantized(self) -> bool:
        """Whether the head is to be quantized."""
        return self.expected == "quantized"


def open_subject(request: VerifyRequest) -> Subject:
    """Open the checkpoint and the reference of a request.

    Raises:
        CheckpointError: either cannot be read, or leaves a tensor in doubt, or the reference is quantized itself.
        UsageError: the hidden states given are none, or of another width than the model's.

    """
    checkpoint = open_checkpoint(LocalFolder(request.checkpoint))
    if any(fault.kind in _UNREADABLE for fault in checkpoint.faults):
        require_sound(checkpoint)
    facts = with_engines(collect_facts(checkpoint), ())
    facts = replace(facts, deep=examine(checkpoint, facts.entries))
    if request.hidden_states is not None:
        check_states(request.hidden_states, width=checkpoint.config.hidden_size)
    reference = None
    if request.reference is not None:
        reference = open_checkpoint(LocalFolder(request.reference))
        require_sound(reference)
        reference = replace(reference, config=as_loaded(reference.config))
        _require_dense(reference)
    return Subject(
        request=request,
        checkpoint=facts.checkpoint,
        facts=facts,
        expected=request.expected or declared(facts),
        reference=reference,
    )


def _require_dense(reference: Checkpoint) -> None:
    raw = reference.config.quantization
    if raw is not None:
        method = raw.get("quant_method", "unknown method")
        raise CheckpointError(
            f"{reference.label}: quantized itself ({method}), so no reference",
            hint="give the dense original as --reference",
        )


def declared(facts: Facts) -> Expected:
    """Return what the config says of the head: quantized when a target reaches it and ``ignore`` does not.

    A class target reaches a head that has tensors of its own; a tied one stays dense unless a target names it.
    """
    head = facts.head
    if not head.match.declared:
        return "dense"
    return "quantized" if head.entry is not None or head.by_name else "dense"
