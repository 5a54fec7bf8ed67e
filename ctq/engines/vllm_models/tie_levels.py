"""Which level of a config decides for vLLM whether a head is tied, where levels may differ.

The data is made by ``benchmarks/learn/tie_levels.py``, from loads by vLLM 0.32.0 of checkpoints without a head: some model classes
look at the top level, some at that of the text model, and some configuration classes of transformers pass a tie on to the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from ctq.engines.configs.tie_flags import tie_levels
from ctq.engines.data_file import of_architecture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctq.checkpoint.config import ModelConfig

Flag = bool | None


class Flags(NamedTuple):
    """What the top level and the text model's state, and what their configuration classes assume."""

    top: Flag
    text: Flag
    top_assumed: Flag
    text_assumed: Flag


WAYS: Final[Mapping[str, Callable[[Flags], bool]]] = {
    "top": lambda flags: bool(_first(flags.top, flags.top_assumed)),
    "text": lambda flags: bool(_first(flags.text, flags.text_assumed)),
    "either": lambda flags: bool(flags.top or flags.text),
    "first": lambda flags: bool(_first(*flags)),
}
"""Ways to decide."""


def _first(*flags: Flag) -> Flag:
    return next((flag for flag in flags if flag is not None), None)


def tied_in_vllm(config: ModelConfig) -> Flag:
    """Return whether vLLM ties the head of a wrapper; None where its way is not known."""
    way = of_architecture("tie_levels", config.architecture)
    return decide(way, config) if way is not None else None


def decide(way: str, config: ModelConfig) -> bool:
    """Decide in one of the `WAYS`."""
    levels = tie_levels(config)
    (top, top_assumed), (text, text_assumed) = levels[0], levels[-1] if levels[1:] else (None, None)
    return WAYS[way](Flags(top, text, top_assumed, text_assumed))
