"""Modules of the files that the architecture does not have: which they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.engines.skeletons.draft_layers import draft_layer_count
from ctq.engines.skeletons.engine_places import (
    has_nowhere_to_go,
    has_part,
    is_head_of_engine,
    is_inside_layer,
    lies_in,
    other_part,
    own_name,
)
from ctq.engines.skeletons.layer_counts import counted_stacks, layer_count
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.inspect.modules.parts import attention_of
from ctq.inspect.presence.passed_over import is_attention
from ctq.inspect.presence.stands_for import stands_for
from ctq.inspect.presence.towers import is_beside_vision_model, is_beyond_tower, is_strange_to_tower
from ctq.recipe.kinds import OTHER_PARTS
from ctq.recipe.template import EXPERTS

if TYPE_CHECKING:
    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_BUFFERS = re.compile(r".*(?:rotary_pos_emb\.inv_freq|rotary_emb\.(?:inv_freq|cos_cached|sin_cached)).*")
"""Buffers that older tools saved, and that vLLM looks over (`AutoWeightsLoader`)."""
_MASKS = re.compile(r"(?:.*\.)?(?:attn|attention)\.(?:masked_)?bias")
"""Others, that only these model classes of vLLM 0.32.0 look over."""
_LOOK_OVER_MASKS = frozenset({"GPT2LMHeadModel", "GPTJForCausalLM", "GPTNeoXForCausalLM", "BloomForCausalLM"})
_HEAD = "lm_head"
_REFUSED_BY_TOWERS = (is_beyond_tower, is_strange_to_tower, is_beside_vision_model)


def is_stranger(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules that the architecture does not have, or that lie beyond its layers; none in parts that are not known."""
    module = entry.modules.template
    if entry.is_head and (module == _HEAD or is_head_of_engine(skeleton, module)):
        # of others, engines' verdicts tell
        return _is_put_into_the_body(skeleton, facts) or has_nowhere_to_go(skeleton, module)
    if all(_is_buffer(name, facts) for name in entry.modules.first_tensors) or is_in_draft_layers(
        entry, skeleton, facts
    ):
        return False
    is_other = any(other_part(skeleton, name) for name in entry.modules.first_tensors)
    if is_other or (skeleton.wrapped and entry.kind in OTHER_PARTS and not entry.is_head):
        is_refused = any(tell(entry, skeleton, facts) for tell in _REFUSED_BY_TOWERS)
        return is_refused or (not is_other and (is_inside_layer(skeleton, module) or not _has_place(entry, skeleton)))
    if not _has_place(entry, skeleton):
        return True
    attention = attention_of(module, entry.modules.parts)
    if attention is not None and EXPERTS not in f"{attention}." and is_attention(attention, skeleton):
        return False
    if is_beyond(entry, skeleton, facts):
        return True
    names = stands_for(entry, skeleton, facts)
    names = [name for name in names if not name.endswith(".bias")] or names  # a bias vouches for no weight
    return not any(own_name(skeleton, name) in skeleton.tensors for name in names)


def _has_place(entry: Entry, skeleton: Skeleton) -> bool:
    return not skeleton.wrapped or any(has_part(skeleton, name) for name in entry.modules.first_tensors)


def _is_put_into_the_body(skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a head beside names as inside the body: where vLLM pools, it puts `model.` before all names of the files.

    Source: vLLM 0.32.0 models/adapters.py (`_load_pooling_model_weights`); its backend takes both.
    """
    config = facts.config
    is_relative = config.pools and config.relative and not skeleton.wrapped
    return is_relative and not is_served_by_backend(config.architecture)


def _is_buffer(name: str, facts: Facts) -> bool:
    is_mask = facts.config.architecture in _LOOK_OVER_MASKS and _MASKS.fullmatch(name) is not None
    return is_mask or _BUFFERS.fullmatch(name) is not None


def is_beyond(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules of layers that the config does not count."""
    count = _count_in(entry, skeleton, facts)
    drafts = draft_layer_count(facts.config)
    return count is not None and min(numbers[0] for numbers in entry.modules.numbers) >= count + drafts


def is_in_draft_layers(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules of the layers behind the decoder's alone, as many as the config counts and the class leaves unread."""
    drafts = draft_layer_count(facts.config)
    count = _count_in(entry, skeleton, facts) if drafts else None
    return count is not None and all(count <= numbers[0] < count + drafts for numbers in entry.modules.numbers)


def _count_in(entry: Entry, skeleton: Skeleton, facts: Facts) -> int | None:
    """Return the number of layers of the list that modules lie in; None where they lie in none that the config counts."""
    config = facts.config
    count, stacks = layer_count(config), counted_stacks(skeleton, config)
    return count if any(lies_in(skeleton, entry.modules.template, stack) for stack in stacks) else None
