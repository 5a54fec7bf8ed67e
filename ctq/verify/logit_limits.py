"""What the logits of a right head, by scheme, and of a whole model keep to; a shortfall becomes a reason in words. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.verify.comparison import LogitsComparison
    from ctq.verify.report import LogitsRun
    from ctq.verify.request import Limits

Range = tuple[float, float]

WITH_ACTIVATIONS: dict[str, Range] = {"cosine": (0.99, 1.0), "slope": (0.98, 1.02), "relative_error": (0.0, 0.10)}
"""What a head keeps to whose activations are quantized too, which adds about 1 %."""
_WEIGHT_ONLY: dict[str, Range] = {"cosine": (0.999, 1.0), "slope": (0.99, 1.01), "relative_error": (0.0, 0.02)}
_REFERENCE: dict[str, Range] = {"cosine": (0.98, 1.0), "slope": (0.95, 1.05), "relative_error": (0.0, 0.20)}
AGAINST_DEQUANTIZED: dict[str, dict[str, Range]] = {
    "W8A8Int8": WITH_ACTIVATIONS,
    "W8A8Fp8": WITH_ACTIVATIONS,
    "WNA16": _WEIGHT_ONLY,
    "W8A16Fp8": _WEIGHT_ONLY,
}
"""Against its own dequantized weights a head errs by its activations alone: about 1 % in int8, the model's dtype otherwise."""
WHOLE_MODEL: dict[str, Range] = {"cosine": (0.98, 1.0), "slope": (0.95, 1.05)}
"""What the logits of a whole quantized model keep to against the dense one; errors of many layers add up."""
_ROUNDING = 1e-6
_DEVIATIONS = 2.0
"""On random states a right W8A8 head agrees on about 95 % of 64 tokens, and on less than 90 % once in thirty times."""


def wrong_logits(run: LogitsRun, scheme: str | None, limits: Limits) -> Iterator[str]:
    """Yield what is wrong with a run of the head, in words."""
    whose = "its dequantized weights" if run.against == "dequantized" else "the reference's head"
    compared = run.compared
    if not compared.finite:
        yield "the head gives logits that are not finite"
        return
    ranges = AGAINST_DEQUANTIZED.get(scheme or "", _WEIGHT_ONLY) if run.against == "dequantized" else _REFERENCE
    if strayed := ", ".join(beyond(compared, ranges)):
        yield f"the head's logits differ from {whose}: {strayed}"
    if run.against == "reference" and compared.top1 < limits.min_top1 - _chance(limits.min_top1, compared.tokens):
        yield f"the head chooses the reference's token in {compared.top1:.1%} of cases, --min-top1 asks for {limits.min_top1:.1%}"


def beyond(compared: LogitsComparison, ranges: Mapping[str, Range]) -> Iterator[str]:
    """Yield each number that leaves its range, by name."""
    for name, (low, high) in ranges.items():
        value = getattr(compared, name)
        if not low <= value <= high + _ROUNDING:
            yield f"{name.replace('_', ' ')} {value:.4g}"


def _chance(share: float, tokens: int) -> float:
    """Return how far a share measured on so many tokens falls short by chance: two standard deviations."""
    return _DEVIATIONS * math.sqrt(share * (1 - share) / max(tokens, 1))
