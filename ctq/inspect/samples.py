"""A few kilobytes of each weight: enough to tell one that was never written, as a broken copy leaves it, from one that was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.facts.oddities import Odd, Oddity
from ctq.inspect.modules.parts import stored_name
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.inspect.facts.entries import Entry

_SAMPLE_BYTES = 4096
_KINDS = (Kind.LINEAR, Kind.EMBEDDING)
_WEIGHTS = ("weight", "weight_packed")


def find_empty(checkpoint: Checkpoint, entries: Sequence[Entry]) -> Iterator[Odd]:
    """Yield the weights that hold one and the same byte in the middle, at the beginning and at the end.

    Raises:
        CheckpointError: a file cannot be read any more.

    """
    names = list(_weights(checkpoint, entries))
    found = checkpoint.source.concurrently(lambda name: _only_byte(checkpoint, name), names)
    for name, byte in zip(names, found, strict=True):
        if byte is not None:
            yield Odd(name, Oddity.EMPTY, f"every byte that was looked at is {byte:#04x}")


def _weights(checkpoint: Checkpoint, entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        part = next((part for part in _WEIGHTS if part in entry.modules.parts), None)
        if part is not None and (entry.is_head or entry.stored.is_quantized or entry.kind in _KINDS):
            tensors = (stored_name(name, part, checkpoint.tensors) for name in entry.modules.names)
            yield from (tensor for tensor in tensors if checkpoint.tensors[tensor].nbytes >= _SAMPLE_BYTES)


def _only_byte(checkpoint: Checkpoint, tensor: str) -> int | None:
    """Return the one byte that all samples consist of, or None; the middle settles it for nearly all weights."""
    last = checkpoint.tensors[tensor].nbytes - _SAMPLE_BYTES
    byte: bytes | None = None
    for offset in (last // 2, 0, last):
        sample = checkpoint.read(tensor, offset, _SAMPLE_BYTES)
        byte = byte or sample[:1]
        if sample != byte * len(sample):
            return None
    return byte[0] if byte else None
