"""How large a head is, and which of its rows lie on which rank. Pure.

Source: vLLM 0.32.0 vocab_parallel_embedding.py:205-330 (padding, shards).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.configs.fields import takes_field
from ctq.engines.dispatch_error import DispatchError

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig

VOCAB_PADDING = 64
"""Rows of a head are padded to a multiple of this (``DEFAULT_VOCAB_PADDING_SIZE``)."""
_NARROW = "word_embed_proj_dim"
"""OPT's head is narrower than its hidden states where a projection lies between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadGeometry:
    """A head of ``vocabulary`` rows and ``hidden`` columns over ``ranks``; ``dtype`` is the model's, as safetensors spells it."""

    vocabulary: int
    hidden: int
    ranks: int = 1
    dtype: str = "BF16"

    @property
    def padded(self) -> int:
        """Rows of all ranks together."""
        return -(-self.vocabulary // VOCAB_PADDING) * VOCAB_PADDING

    @property
    def rows_per_rank(self) -> int:
        """Rows of one rank's parameters.

        Raises:
            DispatchError: the padded vocabulary does not split.

        """
        if self.padded % self.ranks:
            raise DispatchError("AssertionError", f"{self.padded} padded rows do not split over {self.ranks} ranks")
        return self.padded // self.ranks

    def shard(self, rank: int) -> tuple[int, int]:
        """Return the rows of the files that ``rank`` takes; those beyond the vocabulary stay zero."""
        first = rank * self.rows_per_rank
        return min(first, self.vocabulary), min(first + self.rows_per_rank, self.vocabulary)


def head_columns(config: ModelConfig) -> int | None:
    """Return how many columns a model's head has; None where its config does not say."""
    narrow = config.text_int(_NARROW) if takes_field(config.model_type, _NARROW) else None
    return narrow or config.hidden_size
