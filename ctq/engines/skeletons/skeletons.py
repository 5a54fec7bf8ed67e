"""What the tensors of an architecture are called and how large they are, learnt from transformers' own builds of it.

The data is made by ``benchmarks/learn/skeletons.py``: names with ``#`` for numbers, whether every layer has the tensor, dimensions
as sums of products of numbers of the config, and where vLLM refuses a tensor that it does not know. Others are not known.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

from ctq.engines.configs.fields import (
    assumed,
    assumed_number,
    known_number,
    other_names,
    stated,
    stated_number,
    switch_value,
    takes_field,
)
from ctq.engines.configs.layer_lists import assumed_layers
from ctq.engines.configs.towers import MOST_LAYERS, TowerList, are_known, tower_number
from ctq.engines.data_file import read_data
from ctq.engines.skeletons.adjusted import FEED_FORWARD, adjusted_feed_forward
from ctq.engines.skeletons.skeleton import Skeleton, Slot
from ctq.engines.skeletons.switches import learnt_tensors
from ctq.engines.skeletons.with_text import moved_tensors, refused_places, with_text
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.borrowed import inner_name
from ctq.engines.vllm_models.heads import causal_lm_of, head_support
from ctq.engines.vllm_models.known_names import has_a_type

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig

_OF_EACH = "num_layers_per_stack"
"""The number of layers of each of several lists (HRM); beside it `num_hidden_layers` counts something else, without it the same."""
_KINDS = "layers_block_type"
"""The kind of each layer, which some hybrid models have instead of a number of layers (Nemotron-H)."""


def skeleton_of(config: ModelConfig) -> Skeleton | None:
    """Return the skeleton of a model's architecture; of a wrapper only with the text model that was learnt.

    vLLM's Transformers backend builds the model that the model type stands for, whatever the architecture is called.
    """
    all_known = read_data("skeletons")["architectures"]
    found = all_known.get(config.architecture or "")
    built = _built_by_type(config)
    if built is not None:
        places = frozenset(found["refuses"] if found is not None else ())
        return replace(skeleton_named(built), refuses=places) if built in all_known else None
    towers = are_known(found.get("towers", {}) if found is not None else {}, config)
    skeleton = skeleton_around(config.architecture or "", inner_name(config), towers=towers)
    if skeleton is None or not config.relative:
        return skeleton
    return None if skeleton.wrapped or found is None else _relative(skeleton)


def _relative(skeleton: Skeleton) -> Skeleton:
    """Return the skeleton with its tensors called as inside of the model."""
    return replace(skeleton, tensors={name.removeprefix("model."): slot for name, slot in skeleton.tensors.items()})


def _built_by_type(config: ModelConfig) -> str | None:
    """Return the architecture of the model type where the backend builds another one by it than the config names."""
    built = causal_lm_of(config.model_type)
    is_other = built is not None and built != config.architecture and has_a_type(config.architecture)
    return built if is_other and is_served_by_backend(config.architecture) else None


@lru_cache(maxsize=16)
def skeleton_around(architecture: str, inner: str | None, *, towers: bool = True) -> Skeleton | None:
    """Return the skeleton of an architecture, of a wrapper with its text model ``inner`` (an architecture or a model type).

    Most wrappers hold whatever text model their config names; the others the one that they were learnt with, whatever it names.
    ``towers`` as in `skeleton_named`.
    """
    data, all_known = read_data("borrowed_skeletons"), read_data("skeletons")["architectures"]
    if architecture not in all_known:
        return borrowed_skeleton(architecture, inner)
    own = skeleton_named(architecture, towers=towers)
    text, learnt = _architecture(inner), _architecture(own.inner)
    if own.inner is None or text == learnt or architecture not in data["any_text"]:
        return own
    if any(name not in all_known or all_known[name]["inner"] is not None for name in (text, learnt)):
        return None
    return with_text(own, skeleton_named(learnt), skeleton_named(text), inner or "")


def _architecture(inner: str | None) -> str:
    """Return the architecture with a skeleton that the name or the model type of a text model stands for."""
    name = causal_lm_of(inner) or inner or ""
    return str(read_data("borrowed_skeletons")["same"].get(name, name))


@lru_cache(maxsize=16)
def borrowed_skeleton(architecture: str, inner: str | None) -> Skeleton | None:
    """Return the skeleton of an architecture that is made of others: another name of one, or a wrapper with one inside.

    ``inner`` is the architecture of the text model inside, or its model type. The data is made by
    ``benchmarks/learn/borrowed_skeletons.py``.
    """
    data, all_known = read_data("borrowed_skeletons"), read_data("skeletons")["architectures"]
    if architecture in data["same"]:
        return skeleton_named(data["same"][architecture])
    wrapper, name, support = data["wrappers"].get(architecture), _architecture(inner), head_support(architecture)
    before = support.before if support is not None else ""
    if wrapper is None or not before or name not in all_known or all_known[name]["inner"] is not None:
        return None
    text = skeleton_named(name)
    moved = {tensor: f"{before}{tensor}" for tensor in text.tensors}
    return replace(
        text,
        architecture=architecture,
        text=name,
        moved=moved,
        tensors=moved_tensors(text, moved),
        refuses=refused_places(frozenset(wrapper["refuses"]), text),
        inner=inner,
        embedding=None,
        others=frozenset(wrapper["parts"]) - {before.partition(".")[0]},
    )


@lru_cache(maxsize=16)
def skeleton_named(architecture: str, *, towers: bool = True) -> Skeleton:
    """Return the skeleton of a known architecture; without what is made of its towers' configs where ``towers`` are others."""
    found = read_data("skeletons")["architectures"][architecture]
    lists = found.get("lists", {}) if towers else {}
    brought = {name: Slot(always=False, dimensions=None) for name in learnt_tensors(architecture)}
    return Skeleton(
        architecture=architecture,
        tensors={
            name: Slot(always, _dimensions(sizes, towers=towers), *beside)
            for name, (always, sizes, *beside) in found["tensors"].items()
        }
        | {name: slot for name, slot in brought.items() if name not in found["tensors"]},
        refuses=frozenset(found["refuses"]),
        inner=found["inner"],
        computed=frozenset(found["computed"]),
        embedding=found.get("embedding"),
        lists={stack: TowerList(*one) for stack, one in lists.items()},
        numbered={name: tuple(numbers) for name, numbers in found.get("numbered", {}).items()} if towers else {},
        switched={name: tuple(switch) for name, switch in found.get("switched", {}).items()},
        sizes={name: _dimensions(sizes, towers=towers) for name, sizes in found.get("sizes", {}).items()},
    )


def _dimensions(sizes: list[str | None] | None, *, towers: bool) -> tuple[str | None, ...] | None:
    if not sizes:
        return None
    return tuple(size if size is None or towers or "." not in size else None for size in sizes)


def is_wrapper(architecture: str | None) -> bool:
    """Tell an architecture that was learnt with a text model inside."""
    found = read_data("skeletons")["architectures"].get(architecture or "")
    return found is not None and found["inner"] is not None


def tower_configs(architecture: str | None) -> frozenset[str]:
    """Return the keys of a wrapper's config under which the configs of its towers were learnt to be."""
    return frozenset(read_data("skeletons")["architectures"].get(architecture or "", {}).get("towers", ()))


def dimension(expression: str, config: ModelConfig, computed: frozenset[str] = frozenset()) -> int | None:
    """Work out a sum of products of the config's numbers; None where it lacks one.

    Of several (``n_inner|4*n_embd``) the first counts that it has the numbers of. ``switch?one:other`` is one where the switch is
    set and the other where it is not, ``!switch?`` the other way round; nothing in its place where it is not known.
    """
    switch, asks, cases = expression.partition("?")
    if asks:
        state, (one, _, other) = switch_value(config, switch.removeprefix("!")), cases.partition(":")
        chosen = one if state is not switch.startswith("!") else other
        return None if state is None else dimension(chosen, config, computed)
    sizes = (_sum(alternative, config, computed) for alternative in expression.split("|"))
    return next((size for size in sizes if size is not None), None)


def _sum(expression: str, config: ModelConfig, computed: frozenset[str]) -> int | None:
    total = 0
    for term in expression.split("+"):
        factors = [int(word) if word.isdecimal() else _number(word, config, computed) for word in term.split("*")]
        if None in factors:
            return None
        total += prod(factor for factor in factors if factor is not None)
    return total


def _number(key: str, config: ModelConfig, computed: frozenset[str]) -> int | None:
    if "." in key:
        return tower_number(config, key)
    if key == FEED_FORWARD:
        return adjusted_feed_forward(lambda name: stated(config, name, assumed(config, name)))
    value = stated_number(config, key)
    if value is not None:
        return value
    if key == "num_key_value_heads":
        return assumed_number(config, key) or _number("num_attention_heads", config, computed)
    if key not in computed and not (key == "head_dim" and _has_no_field(config, key)):
        return assumed_number(config, key)
    hidden, heads = _number("hidden_size", config, computed), _number("num_attention_heads", config, computed)
    return hidden // heads if hidden and heads else None


def _has_no_field(config: ModelConfig, key: str) -> bool:
    """Tell a key that the text model's known class does not have, so that engines work it out."""
    kind = config.text_levels[-1][1].get("model_type")
    return takes_field(kind, "hidden_size") and not any(takes_field(kind, name) for name in other_names(kind, key))


def layer_count(config: ModelConfig) -> int | None:
    """Return the number of decoder layers, of each list of them, as the config states it or as its model type assumes it.

    It is never more than are looked for (`MOST_LAYERS`).
    """
    count = _all_layers(config)
    return None if count is None else min(count, MOST_LAYERS)


def _all_layers(config: ModelConfig) -> int | None:
    of_each = known_number(config, _OF_EACH)
    if of_each is not None:
        return of_each
    stated = config.num_hidden_layers
    if stated is not None:
        return stated
    kinds = next((level[_KINDS] for _, level in config.text_levels if isinstance(level.get(_KINDS), list)), None)
    assumed_count = assumed_number(config, "num_hidden_layers")
    if kinds is None and assumed_count is None:
        kinds = assumed_layers(config.text_levels[-1][1], _KINDS, 0) or None
    return len(kinds) if kinds is not None else assumed_count


def counted_stacks(skeleton: Skeleton, config: ModelConfig) -> tuple[str, ...]:
    """Return the lists of layers that `layer_count` counts: the decoder's, or each of several that are as long as the others."""
    has_each = known_number(config, _OF_EACH) is not None or takes_field(
        config.text_levels[-1][1].get("model_type"), _OF_EACH
    )
    return skeleton.stacks if len(skeleton.stacks) == 1 or has_each else ()
