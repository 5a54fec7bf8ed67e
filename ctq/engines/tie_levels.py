"""Which level of a config decides for vLLM whether a head is tied, where levels may differ.

The data is made by ``benchmarks/tie_levels.py``, from loads by vLLM 0.32.0 of checkpoints without a head: some model classes look
at the top level, some at that of the text model, and some configuration classes of transformers pass a tie on to the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ctq.engines.config_fields import tie_levels
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctq.checkpoint.config import ModelConfig

Flag = bool | None
WAYS: Final[Mapping[str, Callable[[Flag, Flag, Flag, Flag], bool]]] = {
    "top": lambda top, text, default, inner: bool(default if top is None else top),  # noqa: ARG005
    "text": lambda top, text, default, inner: bool(inner if text is None else text),  # noqa: ARG005
    "either": lambda top, text, default, inner: bool(top or text),  # noqa: ARG005
    "first": lambda top, text, default, inner: bool(
        next((flag for flag in (top, text, default) if flag is not None), inner)
    ),
}
"""Ways to decide, from what the top level and the text model's state, and what their configuration classes assume."""


def tied_in_vllm(config: ModelConfig) -> Flag:
    """Return whether vLLM ties the head of a wrapper; None where its way is not known."""
    way = read_data("tie_levels")["architectures"].get(config.architecture or "")
    return decide(way, config) if way is not None else None


def decide(way: str, config: ModelConfig) -> bool:
    """Decide in one of the `WAYS`."""
    levels = tie_levels(config)
    (top, default), (text, inner) = levels[0], levels[-1] if levels[1:] else (None, None)
    return WAYS[way](top, text, default, inner)
