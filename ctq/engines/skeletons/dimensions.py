"""What the dimensions of a skeleton are worth in a config: sums of products of its numbers, by switches and in towers too.

A dimension is an expression, in ``data/skeletons.json`` as in ``Slot.dimensions``::

    dimension = ["!"] key "?" dimension ":" dimension      the first where the config's switch is set; with "!" where it is not
              | sum {"|" sum}                              the first of which the config has all numbers
    sum       = product {"+" product}
    product   = factor {"*" factor}
    factor    = integer | key | path
    path      = keys "." key                               a number of a tower's config (``ctq.engines.configs.towers``)
              | path "/" path                              one divided by the other
              | path ".#"                                  how many entries a list has

A ``key`` is a number of the text model's config, by whatever name its class gives it. The rows of weights that hold several parts
are their sum, of two alike ``2*`` one of them: by that ``Skeleton.slot`` and ``read.parts_of_fused`` tell the parts' own rows.
"""

from __future__ import annotations

from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING

from ctq.engines.configs.fields import (
    assumed,
    assumed_number,
    stated,
    stated_number,
    switch_value,
    takes_field,
)
from ctq.engines.configs.labels import LABELS, label_count
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.configs.towers import tower_number
from ctq.engines.skeletons.adjusted import FEED_FORWARD, adjusted_feed_forward
from ctq.engines.vllm_models.config_classes import other_head_width

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.skeletons.skeleton import Skeleton

_HEAD_WIDTH = "head_dim"
_SHARED: Mapping[str, int | None] = MappingProxyType({})


def dimension(
    expression: str,
    config: ModelConfig,
    computed: frozenset[str] = frozenset(),
    own: Mapping[str, int | None] = _SHARED,
) -> int | None:
    """Work out a sum of products of the config's numbers; None where it lacks one.

    A switch that is not known leaves the whole unknown. ``own`` are numbers that a layer has instead of the config's.
    """
    switch, asks, cases = expression.partition("?")
    if asks:
        state, (one, _, other) = switch_value(config, switch.removeprefix("!")), cases.partition(":")
        chosen = one if state is not switch.startswith("!") else other
        return None if state is None else dimension(chosen, config, computed, own)
    sizes = (_sum(alternative, config, computed, own) for alternative in expression.split("|"))
    return next((size for size in sizes if size is not None), None)


def empty_tensors(config: ModelConfig, skeleton: Skeleton) -> Iterator[str]:
    """Yield the templates that the config leaves no element of, as the experts of a model that counts 0 (Granite 4.0 Micro)."""
    for name, slot in skeleton.tensors.items():
        sizes = (dimension(one, config, skeleton.computed) for one in slot.dimensions or () if one is not None)
        if 0 in sizes:
            yield name


def _sum(expression: str, config: ModelConfig, computed: frozenset[str], own: Mapping[str, int | None]) -> int | None:
    total = 0
    for term in expression.split("+"):
        factors = [
            int(word) if word.isdecimal() else own[word] if word in own else _number(word, config, computed)
            for word in term.split("*")
        ]
        if None in factors:
            return None
        total += prod(factor for factor in factors if factor is not None)
    return total


def _number(key: str, config: ModelConfig, computed: frozenset[str]) -> int | None:
    if "." in key:
        return tower_number(config, key)
    if key == LABELS:
        return label_count(config.raw)
    if key == FEED_FORWARD:
        return adjusted_feed_forward(lambda name: stated(config, name, assumed(config, name)))
    if key == _HEAD_WIDTH and (width := other_head_width(config)) is not None:
        return width
    value = stated_number(config, key)
    if value is not None:
        return value
    if key == "num_key_value_heads":
        return assumed_number(config, key) or _number("num_attention_heads", config, computed)
    found = assumed_number(config, key)
    if found is not None or key != _HEAD_WIDTH or not (key in computed or _is_known(config)):
        return found
    hidden, heads = _number("hidden_size", config, computed), _number("num_attention_heads", config, computed)
    return hidden // heads if hidden and heads else None


def _is_known(config: ModelConfig) -> bool:
    """Tell a text model of a known class, which works out a head's width where it assumes none, or where null is stated."""
    return takes_field(read_levels(config)[-1][1].get("model_type"), "hidden_size")
