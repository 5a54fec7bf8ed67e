"""What `weight_shape` says of packed weights against the shape of their originals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.verify.codes import FALSE_SHAPE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.findings import Finding
    from ctq.verify.numeric.pairs import Pairs

_BYTES = {"I64": 8, "I32": 4}


def false_shapes(pairs: Pairs, checkpoint: Checkpoint) -> Iterator[Finding]:
    """Yield each `weight_shape` that is not its original's shape.

    Raises:
        CheckpointError: a file cannot be read.

    """
    for pair in pairs.quantized:
        part = pair.parts.get("weight_shape")
        if part is None or part.shape != (2,) or part.dtype not in _BYTES:  # rows and columns
            continue
        raw, size = checkpoint.read(part.name), _BYTES[part.dtype]
        said = [int.from_bytes(raw[place : place + size], "little", signed=True) for place in (0, size)]
        if said != [pair.rows, pair.columns]:
            yield FALSE_SHAPE.at(part.name, f"says {said}, the original is {[pair.rows, pair.columns]}")
