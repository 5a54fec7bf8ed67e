"""When logits are wrong: what is a fault, and what is chance on a few tokens."""

from __future__ import annotations

import pytest

from ctq.verify.comparison import LogitsComparison
from ctq.verify.logit_limits import wrong_logits
from ctq.verify.report import LogitsRun
from ctq.verify.request import Limits


def run(tokens: int, top1: float) -> LogitsRun:
    return LogitsRun(
        engine="builtin",
        device="cpu",
        kernel="k",
        of="head",
        against="reference",
        compared=LogitsComparison(
            tokens=tokens, rows=320, cosine=0.9999, slope=1.0, relative_error=0.01, top1=top1, kl=0.0, finite=True
        ),
        exercised=True,
        seconds=0.0,
    )


@pytest.mark.parametrize(
    ("tokens", "top1", "least", "is_wrong"),
    [
        (4, 0.75, 0.9, False),
        (64, 0.84, 0.9, False),
        (64, 0.80, 0.9, True),
        (4096, 0.88, 0.9, True),
        (4, 0.25, 0.9, True),
        (64, 63 / 64, 1.0, True),
    ],
)
def test_a_share_of_few_tokens_may_fall_short_by_chance(tokens: int, top1: float, least: float, is_wrong: bool) -> None:
    assert bool(list(wrong_logits(run(tokens, top1), "W8A8Int8", Limits(min_top1=least)))) is is_wrong
