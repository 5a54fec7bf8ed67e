"""What can be wrong between the files of a checkpoint, as values: inspection reports them, quantization refuses them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ctq.errors import CheckpointError


class FaultKind(StrEnum):
    """The kinds of defects, each of which stands for itself: one defect gives one kind of fault."""

    CONFIG_MISSING = "config-missing"
    CONFIG_INVALID = "config-invalid"
    HEADER = "header"
    ENTRY_TWICE = "entry-twice"
    INDEX_INVALID = "index-invalid"
    INDEX_MISSING = "index-missing"
    SHARD_MISSING = "shard-missing"
    SHARD_UNLISTED = "shard-unlisted"
    TENSOR_NOT_IN_SHARD = "tensor-not-in-shard"
    TENSOR_NOT_IN_INDEX = "tensor-not-in-index"
    TENSOR_DUPLICATE = "tensor-duplicate"
    TENSOR_CONFLICT = "tensor-conflict"
    TOTAL_SIZE = "total-size"
    LINK_OUTSIDE = "link-outside"
    PICKLE = "pickle"


HARMLESS = frozenset(
    {
        FaultKind.ENTRY_TWICE,
        FaultKind.SHARD_UNLISTED,
        FaultKind.TOTAL_SIZE,
        FaultKind.LINK_OUTSIDE,
        FaultKind.PICKLE,
    }
)
"""Faults that leave no doubt about any tensor: quantization goes on over them."""
HIDING = frozenset({FaultKind.HEADER, FaultKind.SHARD_MISSING})
"""Faults behind which there may be tensors that nobody has seen."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One defect: its kind, the file it is in, the tensor it concerns, and words for people."""

    kind: FaultKind
    file: str
    message: str
    tensor: str | None = None
    error: CheckpointError | None = None


def hides(faults: Iterable[Fault]) -> bool:
    """Tell whether tensors may lie behind any of these faults that nobody has seen."""
    return any(fault.kind in HIDING for fault in faults)
