"""What the weights cost: bytes by kind, bytes read for each decoded token, and what quantizing the head changes.

An estimate for memory-bound decoding at batch 1: every weight of the language model is read once for each token, of the experts
only those that are chosen, of the embedding one row. Caches and activations are not counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.dtypes import DTYPES, FLOATS
from ctq.inspect.facts.entries import State
from ctq.recipe.heads import has_no_head
from ctq.recipe.kinds import BESIDE, EXPERT_COUNTS, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_CHOSEN = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "moe_topk",
    "moe_k",
    "moe_top_k",
    "top_k_experts",
    "num_selected_experts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Bytes, all of them.

    ``by_kind`` covers every tensor of the files; ``head`` is what the head reads for each token, ``head_dense`` and ``head_int8``
    what it reads dense and as int8 per channel; ``per_token`` is the whole model's.
    """

    by_kind: Mapping[str, int]
    per_token: int
    head: int
    head_dense: int
    head_int8: int
    head_quantized: bool

    @property
    def head_saves(self) -> int:
        """Bytes for each token that a quantized head saves, or would save."""
        return self.head_dense - (self.head if self.head_quantized else self.head_int8)

    @property
    def decode_gain(self) -> float:
        """Speed of memory-bound decoding with the head quantized, over that with the head dense."""
        dense = self.per_token - self.head + self.head_dense
        quantized = dense - self.head_saves
        return dense / quantized if quantized > 0 else 1.0

    def to_json(self) -> dict[str, Any]:
        """Return the object of the JSON report."""
        fields = asdict(self) | {"head_saves": self.head_saves, "decode_gain": round(self.decode_gain, 4)}
        del fields["head_quantized"]
        return fields


def estimate_cost(facts: Facts) -> Cost:
    """Estimate what decoding one token reads."""
    config = facts.config
    by_kind: dict[str, int] = {}
    per_token = 0
    for entry in facts.entries:
        kind = _kind(entry)
        by_kind[kind] = by_kind.get(kind, 0) + entry.modules.nbytes
        if not entry.is_head:
            per_token += _read(entry, config)
    head = _head_bytes(facts)
    dense, int8 = _head_variants(facts)
    return Cost(
        by_kind=dict(sorted(by_kind.items(), key=lambda item: -item[1])),
        per_token=per_token + head,
        head=head,
        head_dense=dense,
        head_int8=int8,
        head_quantized=facts.head.state is State.QUANTIZED,
    )


def _kind(entry: Entry) -> str:
    if entry.is_head:
        return "head"
    if _in_experts(entry):
        return "experts"
    return "other" if entry.kind in (Kind.PARAMETER, Kind.NORM) else str(entry.kind)


def _in_experts(entry: Entry) -> bool:
    return entry.kind is Kind.FUSED_EXPERTS or ".experts.#" in entry.modules.template


def _read(entry: Entry, config: ModelConfig) -> int:
    words = entry.modules.template.split(".")
    if entry.kind in BESIDE or (config.raw.get("is_encoder_decoder") is True and "encoder" in words):
        return 0
    if entry.kind is Kind.EMBEDDING:
        return sum(part.nbytes // (part.shape[0] or 1) for part in entry.modules.parts.values() if part.shape)
    if not _in_experts(entry):
        return entry.modules.nbytes
    experts, chosen = config.text_int(*EXPERT_COUNTS), config.text_int(*_CHOSEN)
    return entry.modules.nbytes * min(chosen, experts) // experts if experts and chosen else entry.modules.nbytes


def _head_bytes(facts: Facts) -> int:
    if facts.head.entry is not None:
        return facts.head.entry.modules.nbytes
    embedding = facts.checkpoint.tensors.get(facts.head.embedding or "")
    return embedding.nbytes if embedding is not None and _has_head(facts) else 0


def _has_head(facts: Facts) -> bool:
    """Tell whether tokens are decoded through a head: not in a model that pools, whose tie flag ties nothing."""
    config, head = facts.config, facts.head
    if head.entry is None and (config.pools or has_no_head(config.architecture)):
        return False
    return head.state is not State.ABSENT


def _head_variants(facts: Facts) -> tuple[int, int]:
    """Return the head's bytes dense and as int8 per channel, from its rows and columns and the embedding's dtype."""
    head, tensors = facts.head, facts.checkpoint.tensors
    embedding = tensors.get(head.embedding or "")
    weight = None if head.entry is None else head.entry.modules.parts.get("weight")
    shape = weight.shape if weight is not None else embedding.shape if embedding is not None else ()
    if len(shape) != 2 or not _has_head(facts):  # a matrix
        return 0, 0
    scale = None if head.entry is None else head.entry.modules.parts.get("weight_scale")
    candidates = (part.dtype for part in (embedding, weight, scale) if part is not None)
    dtype = next((dtype for dtype in candidates if dtype in FLOATS), "BF16")
    size = DTYPES[dtype].bits // 8
    return prod(shape) * size, prod(shape) + shape[0] * size
