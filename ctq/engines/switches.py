"""Tensors that come or go with a switch of the config (`attention_bias`), and what vLLM makes of them.

The data is made by ``benchmarks/optional_tensors.py``: which switch brings a tensor, from transformers' builds; under which of its
values vLLM needs these tensors and under which it takes them, from loads by vLLM 0.32.0. Some of its classes do not read a switch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.config_fields import switch_value
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalTensor:
    """A tensor by template, the switch that brings it and the switch's value in a config; what that means to vLLM."""

    tensor: str
    switch: str
    value: bool
    needed: bool
    taken: bool


def optional_tensors(config: ModelConfig) -> Iterator[OptionalTensor]:
    """Yield the optional tensors of a model whose config says, or whose type assumes, something of their switch."""
    architecture, data = config.architecture or "", read_data("optional_tensors")
    asked = data["vllm"].get(architecture, {})
    for tensor, (switch, brings) in data["architectures"].get(architecture, {}).items():
        value = switch_value(config, switch)
        if value is not None:
            needs, takes = asked.get(switch, ([brings], [True, False]))
            yield OptionalTensor(tensor=tensor, switch=switch, value=value, needed=value in needs, taken=value in takes)
