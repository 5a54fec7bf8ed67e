"""How near logits are to the expected ones, as a value, whoever computed them. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitsComparison:
    """Logits ``[tokens, rows]`` against the expected ones over all tokens.

    ``slope`` is the least-squares factor between the two: cosine and the chosen token are blind to a uniformly wrong scale.
    ``top1`` is the share of tokens that choose the same; ``kl`` the mean divergence in nats, None where it was not measured.
    """

    tokens: int
    rows: int
    cosine: float
    slope: float
    relative_error: float
    top1: float
    kl: float | None
    finite: bool
