"""Modules of the files that the architecture does not have: which they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

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
from ctq.engines.skeletons.find import has_learnt_towers
from ctq.engines.skeletons.layer_counts import counted_stacks, layer_count
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.inspect.modules.parts import attention_of
from ctq.inspect.presence.passed_over import is_attention
from ctq.inspect.presence.stands_for import stands_for
from ctq.inspect.presence.towers import is_beside_vision_model, is_beyond_tower, is_strange_to_tower
from ctq.recipe.kinds import OTHER_PARTS
from ctq.recipe.template import EXPERTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_BUFFERS = re.compile(r".*(?:rotary_pos_emb\.inv_freq|rotary_emb\.(?:inv_freq|cos_cached|sin_cached)).*")
"""Buffers that older tools saved, and that vLLM looks over (`AutoWeightsLoader`)."""
_POSITIONS = re.compile(r"(?:.*\.)?embeddings\.position_ids")
"""One that encoders' files hold, and that vLLM's classes and its backend look over (vLLM 0.32.0 models/transformers/legacy.py)."""
_MASKS = re.compile(r"(?:.*\.)?(?:attn|attention)\.(?:masked_)?bias")
"""Others, that only these model classes of vLLM 0.32.0 look over."""
_LOOK_OVER_MASKS = frozenset({"GPT2LMHeadModel", "GPTJForCausalLM", "GPTNeoXForCausalLM", "BloomForCausalLM"})
_HEAD = "lm_head"
_LOOKED_OVER = {
    **dict.fromkeys(("BertModel", "RobertaModel", "XLMRobertaModel"), re.compile(r"lm_head(\..*)?")),
    **dict.fromkeys(
        ("BertForMaskedLM", "BertForTokenClassification", "RobertaForMaskedLM", "RobertaForTokenClassification"),
        re.compile(r"(.*\.)?pooler\..*"),
    ),
}
"""What else of an encoder vLLM 0.32.0 leaves unread: a head, or what pools in another of its kind (models/bert.py, roberta.py)."""
_REFUSED_BY_TOWERS = (is_beyond_tower, is_strange_to_tower, is_beside_vision_model)
_Tell: TypeAlias = "Callable[[Entry, Skeleton, Facts], bool]"


def is_stranger(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules that the architecture does not have, or that lie beyond its layers; none in parts that are not known.

    The first row of the table that is about the modules decides.
    """
    tell = next(tell for is_about, tell in _ROWS if is_about(entry, skeleton, facts))
    return tell(entry, skeleton, facts)


def _is_its_head(entry: Entry, skeleton: Skeleton, _: Facts) -> bool:
    """Tell a head under the architecture's own name for it; of others, engines' verdicts tell."""
    module = entry.modules.template
    return entry.is_head and (module == _HEAD or is_head_of_engine(skeleton, module))


def _has_head_nowhere(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    return _is_put_into_the_body(skeleton, facts) or has_nowhere_to_go(skeleton, entry.modules.template)


def _is_looked_over(entry: Entry, skeleton: Skeleton, _: Facts) -> bool:
    pattern = _LOOKED_OVER.get(skeleton.architecture)
    return pattern is not None and pattern.fullmatch(entry.modules.template) is not None


def _are_buffers(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    return all(_is_buffer(name, skeleton, facts) for name in entry.modules.first_tensors)


def _is_of_other_part(entry: Entry, skeleton: Skeleton, _: Facts) -> bool:
    """Tell what lies outside of the text model, by its name or by its kind."""
    is_outside = skeleton.wrapped and entry.kind in OTHER_PARTS and not entry.is_head
    return is_outside or _lies_in_other_part(entry, skeleton)


def _is_refused_in_other_part(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell what vLLM refuses in a tower, and what the model has no place for where its other parts are all known."""
    if any(is_refused(entry, skeleton, facts) for is_refused in (*_REFUSED_BY_TOWERS, _is_unknown_to_backend)):
        return True
    is_misplaced = is_inside_layer(skeleton, entry.modules.template) or _lacks_place(entry, skeleton, facts)
    return is_misplaced and not _lies_in_other_part(entry, skeleton)


def _is_unknown_to_backend(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell what lies beside known tensors of a wrapper that vLLM's backend builds as transformers does: it refuses what that lacks.

    Only of towers of the learnt types all tensors are known.
    """
    config, within = facts.config, entry.modules.template.rpartition(".")[0]
    if not is_served_by_backend(config.architecture) or not has_learnt_towers(config):
        return False
    has_neighbours = not within or any(name.startswith(f"{within}.") for name in skeleton.tensors)
    return has_neighbours and _stands_for_nothing(entry, skeleton, facts)


def _lies_in_other_part(entry: Entry, skeleton: Skeleton) -> bool:
    return any(other_part(skeleton, name) for name in entry.modules.first_tensors)


def _lacks_place(entry: Entry, skeleton: Skeleton, _: Facts) -> bool:
    return skeleton.wrapped and not any(has_part(skeleton, name) for name in entry.modules.first_tensors)


def _is_of_its_attention(entry: Entry, skeleton: Skeleton, _: Facts) -> bool:
    """Tell scales of a cache that lie in an attention which the architecture has."""
    attention = attention_of(entry.modules.template, entry.modules.parts)
    return attention is not None and EXPERTS not in f"{attention}." and is_attention(attention, skeleton)


def _stands_for_nothing(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules that hold no tensor of the architecture, in whatever form; a bias vouches for no weight."""
    names = stands_for(entry, skeleton, facts)
    names = [name for name in names if not name.endswith(".bias")] or names
    return not any(own_name(skeleton, name) in skeleton.tensors for name in names)


def _is_put_into_the_body(skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a head beside names as inside the body: where vLLM pools, it puts `model.` before all names of the files.

    Source: vLLM 0.32.0 models/adapters.py (`_load_pooling_model_weights`); its backend takes both.
    """
    config = facts.config
    is_relative = config.pools and config.relative and not skeleton.wrapped
    return is_relative and not is_served_by_backend(config.architecture)


def _is_buffer(name: str, skeleton: Skeleton, facts: Facts) -> bool:
    is_mask = facts.config.architecture in _LOOK_OVER_MASKS and _MASKS.fullmatch(name) is not None
    is_of_positions = _has_embeddings(skeleton) and _POSITIONS.fullmatch(name) is not None
    return is_mask or is_of_positions or _BUFFERS.fullmatch(name) is not None


def _has_embeddings(skeleton: Skeleton) -> bool:
    """Tell an encoder, whose embeddings of several kinds lie in one module."""
    return not skeleton.wrapped and any("embeddings" in name.split(".")[:-2] for name in skeleton.tensors)


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


def _always(_: Entry, __: Skeleton, ___: Facts) -> bool:
    return True


def _never(_: Entry, __: Skeleton, ___: Facts) -> bool:
    return False


_ROWS: tuple[tuple[_Tell, _Tell], ...] = (
    (_is_looked_over, _never),
    (_is_its_head, _has_head_nowhere),
    (_are_buffers, _never),
    (is_in_draft_layers, _never),
    (_is_of_other_part, _is_refused_in_other_part),
    (_lacks_place, _always),
    (_is_of_its_attention, _never),
    (is_beyond, _always),
    (_always, _stands_for_nothing),
)
"""What modules may be, and which of those are strangers."""
