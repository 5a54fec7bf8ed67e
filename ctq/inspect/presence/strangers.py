"""Modules of the files that the architecture does not have: which they are, and what vLLM makes of them in their place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.engines.skeletons.layer_counts import counted_stacks, layer_count
from ctq.engines.skeletons.passed_over import passed_over
from ctq.engines.skeletons.skeleton_names import has_part, is_head_of_engine, lies_in, other_part, own_name
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm.fused import fused_mapping
from ctq.engines.vllm_models.names import names_of
from ctq.inspect.modules.grouping import NUMBER
from ctq.inspect.modules.parts import RECURRENT, attention_of, stored_name
from ctq.inspect.presence.stands_for import dense_tensors, fused_tensors, parts_of_fused
from ctq.inspect.presence.towers import is_beyond_tower, is_strange_to_tower
from ctq.recipe.kinds import OTHER_PARTS, Kind

if TYPE_CHECKING:
    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_BUFFERS = re.compile(r".*(?:rotary_pos_emb\.inv_freq|rotary_emb\.(?:inv_freq|cos_cached|sin_cached)).*")
"""Buffers that older tools saved, and that vLLM looks over (`AutoWeightsLoader`)."""
_MASKS = re.compile(r"(?:.*\.)?(?:attn|attention)\.(?:masked_)?bias")
"""Others, that only these model classes of vLLM 0.32.0 look over."""
_LOOK_OVER_MASKS = frozenset({"GPT2LMHeadModel", "GPTJForCausalLM", "GPTNeoXForCausalLM", "BloomForCausalLM"})
_DRAFTS = ("n_predict", "num_nextn_predict_layers", "mtp_num_hidden_layers")
"""How configs count draft layers, in vLLM's order."""
_MTP = "mtp"
"""What draft layers are called that vLLM's classes look over; heads of Medusa or Eagle they take for any other module."""
_EXPERTS = ".experts."
_WEIGHT = ".weight"
_GATED = 3
"""Projections of an expert that has a gate."""
_HEAD = "lm_head"


def is_stranger(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules that the architecture does not have, or that lie beyond its layers; none in parts that are not known."""
    module = entry.modules.template
    if entry.is_head and (module == _HEAD or is_head_of_engine(skeleton, module)):
        return _is_put_into_the_body(skeleton, facts)  # of others, engines' verdicts tell
    if _is_buffer(entry.modules.names[0], facts):
        return False
    if any(other_part(skeleton, name) for name in entry.modules.first_tensors):
        return False
    if skeleton.wrapped and entry.kind in OTHER_PARTS and not entry.is_head:
        is_refused = is_beyond_tower(entry, skeleton, facts) or is_strange_to_tower(entry, skeleton, facts)
        return is_refused or not any(has_part(skeleton, name) for name in entry.modules.first_tensors)
    if skeleton.wrapped and not any(has_part(skeleton, name) for name in entry.modules.first_tensors):
        return True
    attention = attention_of(module, entry.modules.parts)
    if attention is not None and _EXPERTS not in f"{attention}." and _is_attention(attention, skeleton):
        return False
    if _beyond(entry, skeleton, facts):
        return True
    names = _stands_for(entry, skeleton, facts)
    names = [name for name in names if not name.endswith(".bias")] or names  # a bias vouches for no weight
    return not any(own_name(skeleton, name) in skeleton.tensors for name in names)


def _is_put_into_the_body(skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a head beside names as inside the body: where vLLM pools, it puts `model.` before all names of the files.

    Source: vLLM 0.32.0 models/adapters.py (`_load_pooling_model_weights`); its backend takes both.
    """
    config = facts.checkpoint.config
    is_relative = config.pools and config.relative and not skeleton.wrapped
    return is_relative and not is_served_by_backend(config.architecture)


def is_refused(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a stranger in a place where vLLM refuses what it does not know, or leaves unread what nothing else stands for."""
    return (
        _is_stacked(entry, skeleton)
        or is_strange_to_tower(entry, skeleton, facts)
        or _place(entry, skeleton, facts) in skeleton.refuses
    )


def _is_stacked(entry: Entry, skeleton: Skeleton) -> bool:
    """Tell one projection of all experts of a layer: vLLM takes gate and up in one tensor or each expert's alone, and no other way.

    Source: vLLM 0.32.0 ``layers/fused_moe/routed_experts.py:1200`` (``make_expert_params_mapping``); of experts without a gate the
    one projection before the last is taken so.
    """
    owner, _, leaf = entry.modules.template.rpartition(".")
    first = f"{owner}.{NUMBER}."
    projections = {
        name.removeprefix(first) for name in skeleton.tensors if name.startswith(first) and name.endswith(_WEIGHT)
    }
    return len(projections) == _GATED and f"{leaf}{_WEIGHT}" in projections and f"{owner}.".endswith(_EXPERTS)


def is_passed_over(tensor: str, skeleton: Skeleton) -> bool:
    """Tell a tensor, by template, whose ending the loader passes over within a module that the model has.

    Layers that vLLM fuses and those of experts do not count: to their parts it gives other names first.
    """
    module = tensor.rpartition(".")[0]
    parts = {part for row in fused_mapping(skeleton.architecture).values() for part in row}
    is_renamed = _EXPERTS in module or module.rpartition(".")[2] in {*parts, _HEAD}
    if is_renamed or not tensor.endswith(passed_over(skeleton).endings):
        return False
    return _holds_modules(module, skeleton) or _is_layer(module, skeleton)


def _stands_for(entry: Entry, skeleton: Skeleton, facts: Facts) -> list[str]:
    fused = fused_tensors(entry, skeleton, facts)
    return [*dense_tensors(entry), *fused, *parts_of_fused(entry, skeleton)]


def _holds_modules(template: str, skeleton: Skeleton) -> bool:
    """Tell a module that other modules of the architecture lie in, as attention does; of wrappers by its place in a layer."""
    inside = template.partition(f".{NUMBER}.")[2] if skeleton.wrapped else ""
    known = any(name.startswith(f"{template}.") for name in skeleton.tensors)
    return known or (bool(inside) and any(name.startswith(f"{inside}.") for name in skeleton.suffixes))


def _is_attention(template: str, skeleton: Skeleton) -> bool:
    """Tell a module of the architecture that other modules lie in, as attention does, none of them a state space's."""
    inside = f"{template.partition(f'.{NUMBER}.')[2]}." if skeleton.wrapped else f"{template}."
    names = skeleton.suffixes if skeleton.wrapped else skeleton.tensors
    own = {name.removeprefix(inside).removesuffix(".weight") for name in names if name.startswith(inside)}
    return bool(own) and own.isdisjoint(RECURRENT)


def _templates(entry: Entry, facts: Facts) -> list[str]:
    """Name the tensors of a module as they stand in the files, by template."""
    template, module = entry.modules.template, entry.modules.names[0]
    stored = [stored_name(module, part, facts.checkpoint.tensors) for part in entry.modules.parts]
    return [f"{template}{name.removeprefix(module)}" for name in stored]


def _is_layer(template: str, skeleton: Skeleton) -> bool:
    """Tell a module of the architecture that has a weight."""
    return own_name(skeleton, f"{template}.weight") in skeleton.tensors


def _is_buffer(name: str, facts: Facts) -> bool:
    is_mask = facts.checkpoint.config.architecture in _LOOK_OVER_MASKS and _MASKS.fullmatch(name) is not None
    return is_mask or _BUFFERS.fullmatch(name) is not None


def _beyond(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules of layers that the config does not count."""
    config = facts.checkpoint.config
    count, stacks = layer_count(config), counted_stacks(skeleton, config)
    if count is None or not any(lies_in(skeleton, entry.modules.template, stack) for stack in stacks):
        return False
    # Loaders that know draft layers behind the decoder's leave as many of them out as the config says.
    drafts = config.text_int("num_nextn_predict_layers") or 0
    return min(numbers[0] for numbers in entry.modules.numbers) >= count + drafts


def _is_draft_layer(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules of the layers that a config counts behind the decoder's.

    Source: vLLM 0.32.0 ``models/transformers/base.py:538``.
    """
    config = facts.checkpoint.config
    count, drafts = layer_count(config), config.text_int(*_DRAFTS)
    if count is None or not drafts:
        return False
    is_in_stack = any(lies_in(skeleton, entry.modules.template, stack) for stack in counted_stacks(skeleton, config))
    return is_in_stack and all(count <= numbers[0] < count + drafts for numbers in entry.modules.numbers)


def _place(entry: Entry, skeleton: Skeleton, facts: Facts) -> str:
    """Name the place of a stranger as the data calls it; ``unread`` is one that vLLM drops before it looks at it."""
    name, config = entry.modules.template, facts.checkpoint.config
    names = names_of(config)
    if names is not None and names.drops(entry.modules.names[0]):
        return "unread"
    if is_served_by_backend(config.architecture) and _is_draft_layer(entry, skeleton, facts):
        return "unread"
    if _beyond(entry, skeleton, facts) or is_beyond_tower(entry, skeleton, facts):
        return "beyond"
    if name.rpartition(".")[2] == _HEAD:
        return "head"
    if skeleton.wrapped and not any(has_part(skeleton, tensor) for tensor in entry.modules.first_tensors):
        return "module"
    is_draft, is_in_body = entry.kind is Kind.DRAFT and _MTP in name, _is_in_body(name, skeleton)
    if (is_draft and is_in_body and passed_over(skeleton).drafts) or _is_left(entry, skeleton, facts):
        return "unread"
    is_unknown = is_draft and not (is_in_body and "layer" not in skeleton.refuses)
    return "draft" if is_unknown else _place_by_name(entry, skeleton, facts)


def _is_left(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell what lies beside experts, or has endings of names, where the loader passes over those."""
    is_beside = _is_beside_experts(entry.modules.template, skeleton)
    return is_beside or all(is_passed_over(name, skeleton) for name in _templates(entry, facts))


def _is_beside_experts(template: str, skeleton: Skeleton) -> bool:
    """Tell what lies in experts of the architecture and in none of their own layers, where the loader leaves that unread."""
    if not passed_over(skeleton).experts:
        return False
    before, found, inside = f"{template}.".partition(_EXPERTS)
    if not found or not _holds_modules(f"{before}{_EXPERTS}".removesuffix("."), skeleton):
        return False
    number, _, rest = inside.partition(".")
    own, _, more = (rest if number == NUMBER else inside).partition(".")
    one = f"{before}{_EXPERTS}{NUMBER}.{own}" if number == NUMBER else f"{before}{_EXPERTS}{own}"
    return not (more and (_is_layer(one, skeleton) or one in skeleton.tensors))


def _place_by_name(entry: Entry, skeleton: Skeleton, facts: Facts) -> str:
    """Name the place of a stranger in the text model, or beside it, by what it is called alone."""
    name = entry.modules.template
    if _templates(entry, facts) == [f"{name}.bias"] and _is_bias_passed_over(entry, skeleton, facts):
        return "bias"
    inside = name.partition(f".{NUMBER}.")[2]
    if inside:
        return "inner" if "." in inside else "layer"
    if _is_in_body(name, skeleton):
        return "layer"
    return "module" if "." in entry.modules.first_tensors[0] else "top"


def _is_bias_passed_over(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a bias that most loaders pass over: that of a module which the model has, by the name of the files or of the engine."""
    name = entry.modules.template
    weights = [one.removesuffix("bias") + "weight" for one in _stands_for(entry, skeleton, facts)]
    is_known = any(own_name(skeleton, weight) in skeleton.tensors for weight in weights)
    is_unread = passed_over(skeleton).biases and _is_in_body(name, skeleton)
    return is_unread or is_known or _holds_modules(name, skeleton)


def _is_in_body(name: str, skeleton: Skeleton) -> bool:
    """Tell what lies beside the layers, in what holds their list: the loader that reads the layers reads it too."""
    return any(name.startswith(f"{stack.rpartition('.')[0]}.") for stack in skeleton.stacks)
