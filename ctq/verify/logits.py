"""Two sets of logits compared: direction, size, error, chosen token and divergence.

Cosine and the chosen token do not see a uniformly wrong scale (logits 845 times too large had a cosine of 0.99), so slope and
relative error stand beside them. Needs torch.
"""

from __future__ import annotations

import torch

from ctq.verify.comparison import LogitsComparison
from ctq.verify.row_threads import over_rows

_SMALLEST = 1e-30
"""Keeps an all-zero row of logits from dividing by zero."""


def compare_logits(logits: torch.Tensor, expected: torch.Tensor) -> LogitsComparison:
    """Compare float32 logits ``[tokens, rows]`` with the expected ones.

    The slope is ``<logits, expected> / <expected, expected>``, the relative error ``|logits - expected| / |expected|``, and
    the divergence that of the expected distribution from the other one.
    """
    rows: list[tuple[float, ...]] = [()] * logits.shape[0]

    def compare(first: int, last: int) -> None:
        rows[first:last] = [_compare_token(logits[token], expected[token]) for token in range(first, last)]

    over_rows(logits.shape[0], compare, device=logits.device.type)
    product, size, own, error, same, divergence = (sum(column) for column in zip(*rows, strict=True))
    return LogitsComparison(
        tokens=logits.shape[0],
        rows=logits.shape[1],
        cosine=product / max((own * size) ** 0.5, _SMALLEST),
        slope=product / max(size, _SMALLEST),
        relative_error=(error / max(size, _SMALLEST)) ** 0.5,
        top1=same / max(len(rows), 1),
        kl=max(0.0, divergence / max(len(rows), 1)),
        finite=bool(torch.isfinite(logits).all() and torch.isfinite(expected).all()),
    )


def _compare_token(logits: torch.Tensor, expected: torch.Tensor) -> tuple[float, ...]:
    """Return the sums of one token in double: float32 loses digits over many logits, and a copy of all in double would be large."""
    got, want = torch.nan_to_num(logits).double(), torch.nan_to_num(expected).double()
    difference = got - want
    likely, wanted = torch.log_softmax(got, 0), torch.log_softmax(want, 0)
    return (
        float(torch.dot(got, want)),
        float(torch.dot(want, want)),
        float(torch.dot(got, got)),
        float(torch.dot(difference, difference)),
        float(got.argmax() == want.argmax()),
        float((wanted.exp() * (wanted - likely)).sum()),
    )
