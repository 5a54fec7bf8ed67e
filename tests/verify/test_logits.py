"""Logits compared: each measure sees what it is there for."""

from __future__ import annotations

import math

import pytest
import torch

from ctq.verify.logits import compare_logits

LOGITS = torch.randn(16, 200, generator=torch.Generator().manual_seed(0))


def test_equal_logits_are_equal_by_every_measure() -> None:
    found = compare_logits(LOGITS, LOGITS)
    assert (found.tokens, found.rows, found.relative_error, found.top1, found.kl, found.finite) == (
        16,
        200,
        0.0,
        1.0,
        0.0,
        True,
    )
    assert (found.cosine, found.slope) == pytest.approx((1.0, 1.0))


def test_a_uniformly_wrong_scale_shows_in_slope_and_error_alone() -> None:
    found = compare_logits(845 * LOGITS, LOGITS)
    assert (found.cosine, found.top1) == pytest.approx((1.0, 1.0))
    assert (found.slope, found.relative_error) == pytest.approx((845.0, 844.0))


def test_permuted_rows_show_in_cosine_and_choice() -> None:
    found = compare_logits(LOGITS.roll(1, dims=1), LOGITS)
    assert abs(found.cosine) < 0.1
    assert found.top1 < 0.2


def test_kl_is_that_of_the_expected_distribution() -> None:
    expected, got = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([[0.0, 0.0]])
    by_hand = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert compare_logits(got, expected).kl == pytest.approx(by_hand, abs=1e-7)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_said_and_does_not_spread(value: float) -> None:
    broken = LOGITS.clone()
    broken[3, 5] = value
    found = compare_logits(broken, LOGITS)
    assert not found.finite
    assert math.isfinite(found.cosine)


def test_all_zero_logits_divide_by_nothing() -> None:
    found = compare_logits(torch.zeros(2, 3), torch.zeros(2, 3))
    assert (found.cosine, found.slope, found.relative_error) == (0.0, 0.0, 0.0)
