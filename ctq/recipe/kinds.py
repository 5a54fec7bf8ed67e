"""What a tensor is to quantization, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a tensor is to quantization."""

    LINEAR = "linear"
    EMBEDDING = "embedding"
    NORM = "norm"
    CONVOLUTION = "convolution"
    ROUTER = "router"
    TOWER = "tower"
    PROJECTOR = "projector"
    DRAFT = "draft"
    STATE_SPACE = "state-space"
    TRANSPOSED = "transposed"
    FUSED_EXPERTS = "fused-experts"
    LOW_RANK = "low-rank"
    CLASSIFIER = "classifier"
    PARAMETER = "parameter"


OTHER_PARTS = (Kind.TOWER, Kind.PROJECTOR)
"""Parts of a wrapper beside its language model, which come in many kinds."""
BESIDE = (*OTHER_PARTS, Kind.DRAFT)
"""What stands beside the language model."""


@dataclass(frozen=True, slots=True)
class Classified:
    """The kind of one module, why it is not quantized, and the ``ignore`` pattern that keeps engines from expecting it to be."""

    kind: Kind
    reason: str
    ignore: str | None = None


EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_layer")
"""Keys of a config that say how many experts a layer has."""
