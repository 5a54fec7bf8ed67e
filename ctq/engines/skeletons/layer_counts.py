"""How many layers a decoder has, and which lists of a skeleton are as long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.fields import assumed_number, known_number, takes_field
from ctq.engines.configs.layer_lists import assumed_layers
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.configs.towers import MOST_LAYERS
from ctq.engines.vllm_models.borrowed import borrowed_from
from ctq.engines.vllm_models.text_architecture import text_architecture

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.skeletons.skeleton import Skeleton

_OF_EACH = "num_layers_per_stack"
"""The number of layers of each of several lists (HRM); beside it `num_hidden_layers` counts something else, without it the same."""
_KINDS = "layers_block_type"
"""The kind of each layer, which some hybrid models have instead of a number of layers (Nemotron-H)."""

_PATTERN = "hybrid_override_pattern"
"""The same as a text of one letter to each."""
_BY_LIST = frozenset({"NemotronHForCausalLM"})
"""Classes that build as many layers as the kinds that are listed, whatever the number is.

Source: vLLM 0.32.0 ``model_executor/models/nemotron_h.py:615``; transformers 5.19 ``configuration_nemotron_h.py:168``.
"""

_TWICE = frozenset({"longcat_flash"})
"""Model types whose `num_hidden_layers` is twice the number of layers (transformers 5.19 configuration_longcat_flash.py)."""


def layer_count(config: ModelConfig) -> int | None:
    """Return the number of decoder layers, of each list of them, as the config states it or as its model type assumes it.

    It is never more than are looked for (`MOST_LAYERS`).
    """
    count = _all_layers(config)
    return None if count is None else min(count, MOST_LAYERS)


def listed_layers(config: ModelConfig) -> int | None:
    """Return the number of kinds of layers that are listed, of a class that counts its layers by them alone."""
    if (borrowed_from(config) or text_architecture(config)) not in _BY_LIST:
        return None
    listed = (level.get(key) for key in (_KINDS, _PATTERN) for _, level in reversed(config.text_levels))
    return next((len(kinds) for kinds in listed if isinstance(kinds, list | str) and kinds), None)


def stated_layers(config: ModelConfig) -> int | None:
    """Return the number of layers that the config itself states, as a number or by a list of their kinds."""
    return listed_layers(config) or config.num_hidden_layers or _count_of_kinds(config)


def _all_layers(config: ModelConfig) -> int | None:
    if (listed := listed_layers(config)) is not None:
        return listed
    of_each = known_number(config, _OF_EACH)
    if of_each is not None:
        return of_each
    stated, twice = config.num_hidden_layers, config.text_int("num_hidden_layers")
    if config.model_type in _TWICE and twice is not None:
        return twice // 2
    if stated is not None:
        return stated
    counted, assumed_count = _count_of_kinds(config), assumed_number(config, "num_hidden_layers")
    if counted is None and assumed_count is None:
        kinds = assumed_layers(read_levels(config)[-1][1], _KINDS, 0)
        return len(kinds) if kinds else None
    return counted if counted is not None else assumed_count


def _count_of_kinds(config: ModelConfig) -> int | None:
    return next((len(level[_KINDS]) for _, level in config.text_levels if isinstance(level.get(_KINDS), list)), None)


def counted_stacks(skeleton: Skeleton, config: ModelConfig) -> tuple[str, ...]:
    """Return the lists of layers that `layer_count` counts: the decoder's, or each of several that are as long as the others."""
    has_each = known_number(config, _OF_EACH) is not None or takes_field(
        read_levels(config)[-1][1].get("model_type"), _OF_EACH
    )
    return skeleton.stacks if len(skeleton.stacks) == 1 or has_each else ()
