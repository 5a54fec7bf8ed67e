"""Sizes that model classes round, where no sum of products of the config's numbers gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FEED_FORWARD: Final = "adjusted_intermediate_size"
"""What a rounded width is called in the dimensions of skeletons."""
_KEYS: Final = (
    "block_ff_dim",
    "intermediate_size",
    "block_multiple_of",
    "block_ffn_dim_multiplier",
    "block_auto_adjust_ff_dim",
)
"""The first is an older name of the second, and wins."""


def adjusted_feed_forward(read: Callable[[str], object]) -> int | None:
    """Return how wide LFM2's feed-forward is, in elements, as its class rounds it, by the values of a config's keys.

    None where the config is none of the kind; 0, which no file has, where the class cannot multiply either (NaN, infinity).
    Source: vLLM 0.32.0 ``model_executor/models/lfm2.py:61``, transformers 5.19 ``modeling_lfm2.py`` (``Lfm2MLP``).
    """
    older, width, multiple, factor, is_adjusted = map(read, _KEYS)
    width = width if older is None else older
    if type(width) is not int or type(multiple) is not int or multiple <= 0 or type(is_adjusted) is not bool:
        return None
    if not is_adjusted:
        return width
    width = 2 * width // 3
    if isinstance(factor, int | float):
        try:
            width = int(factor * width)
        except (ValueError, OverflowError):
            return 0
    return -(-width // multiple) * multiple
