"""Two sets of logits compared: direction, size, error, chosen token and divergence.

Cosine and the chosen token do not see a uniformly wrong scale (logits 845 times too large had a cosine of 0.99), so slope and
relative error stand beside them. Needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

_SMALLEST = 1e-30
"""Keeps an all-zero row of logits from dividing by zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogitsComparison:
    """Logits against the expected ones over all tokens; ``top1`` is a share, ``kl`` the mean divergence in nats."""

    tokens: int
    rows: int
    cosine: float
    slope: float
    relative_error: float
    top1: float
    kl: float
    finite: bool


def compare_logits(logits: torch.Tensor, expected: torch.Tensor) -> LogitsComparison:
    """Compare float32 logits ``[tokens, rows]`` with the expected ones.

    The slope is ``<logits, expected> / <expected, expected>``, the relative error ``|logits - expected| / |expected|``, and
    the divergence that of the expected distribution from the other one.
    """
    finite = bool(torch.isfinite(logits).all() and torch.isfinite(expected).all())
    got, want = torch.nan_to_num(logits), torch.nan_to_num(expected)
    product, size = _dot(got, want), _dot(want, want)
    return LogitsComparison(
        tokens=logits.shape[0],
        rows=logits.shape[1],
        cosine=product / max((_dot(got, got) * size) ** 0.5, _SMALLEST),
        slope=product / max(size, _SMALLEST),
        relative_error=(_dot(got - want, got - want) / max(size, _SMALLEST)) ** 0.5,
        top1=float((got.argmax(1) == want.argmax(1)).double().mean()),
        kl=_divergence(got, want),
        finite=finite,
    )


def _dot(left: torch.Tensor, right: torch.Tensor) -> float:
    """Sum token by token in double: float32 loses the digits over millions of logits, and a whole copy in double would be large."""
    return sum(float(torch.dot(a.double(), b.double())) for a, b in zip(left, right, strict=True))


def _divergence(got: torch.Tensor, want: torch.Tensor) -> float:
    rows = zip(torch.log_softmax(got, 1), torch.log_softmax(want, 1), strict=True)
    values = [float((b.double().exp() * (b.double() - a.double())).sum()) for a, b in rows]
    return max(0.0, sum(values) / max(len(values), 1))
