"""TEN: the files against what the architecture is made of, where that is known (`ctq.engines.skeletons.skeletons`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.engines.skeletons.layer_counts import counted_stacks, layer_count
from ctq.engines.skeletons.skeleton_names import has_part, is_head_of_engine, lies_in, other_part, own_name
from ctq.engines.skeletons.skeletons import skeleton_of
from ctq.engines.skeletons.unserved_names import refused_names
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.names import names_of
from ctq.findings import Severity
from ctq.inspect.modules.forms import Form
from ctq.inspect.modules.grouping import NUMBER
from ctq.inspect.modules.parts import CACHE_PARTS, PARTS, RECURRENT, attention_of
from ctq.inspect.rules.architecture.experts import surplus_experts
from ctq.inspect.rules.architecture.stands_for import dense_tensors, fused_tensors, parts_of_fused
from ctq.inspect.rules.architecture.towers import is_beyond_tower, is_strange_to_tower
from ctq.inspect.rules.rule import Hit, listing
from ctq.recipe.kinds import OTHER_PARTS, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
_LEFT = PARTS - CACHE_PARTS - {"weight", "bias"}
"""Parts that a quantizer writes, and that dequantizing may leave."""


def unknown_module(facts: Facts) -> Iterator[Hit]:
    """Report tensors that the architecture does not have.

    ## What it checks
    Every name against the tensors of the architecture, where those are known. It is an error where vLLM refuses a name that it does
    not know in that place, in a layer of a tower too, and a warning where vLLM looks away. Experts beyond the number of the config
    count where vLLM's class refuses them, and what a quantizer left beside dense weights of a model without a quantization config.

    ## Why it hurts
    A prefix too many or too few, a renamed module, a leftover of training: vLLM stops with *There is no module or parameter named
    ...*, and what should have been loaded is missing. Other engines leave it out silently.

    ## Example
    `module.model.layers.0.mlp.up_proj.weight`, or `mtp.fc.weight` in a `LlamaForCausalLM`.

    ## How to mend
    Give the tensors the names of the architecture, or leave them out.

    ## References
    vLLM 0.32.0 `model_executor/models/utils.py:442`; `benchmarks/learn/skeletons.py`.
    """
    yield from surplus_experts(facts)
    skeleton = skeleton_of(facts.checkpoint.config)
    yield from _unserved(facts) if skeleton is None else _strange(facts, skeleton)


def _strange(facts: Facts, skeleton: Skeleton) -> Iterator[Hit]:
    """Report the gravest of what the architecture does not have: modules that are refused, parts that are, modules left unread."""
    judged = [(entry, _is_stranger(entry, skeleton, facts)) for entry in facts.entries]
    strangers, own = ([entry for entry, is_strange in judged if is_strange is wanted] for wanted in (True, False))
    refused = [entry for entry in strangers if _is_refused(entry, skeleton, facts)]
    left = [(entry, parts) for entry in own if (parts := _leftovers(entry, skeleton, facts))]
    biased = [entry for entry in own if _has_unknown_bias(entry, skeleton, facts)]
    if refused:
        yield _unknown(facts, refused)
    elif left:
        first, (part, *_) = left[0]
        yield Hit(
            where=f"{first.modules.names[0]}.{part}",
            message=f"{part} beside the dense weight of {listing([entry for entry, _ in left])}, and no quantization_config",
            hint="leave it out if the weights are dequantized, else restore quantization_config",
        )
    elif biased:
        yield Hit(
            where=f"{biased[0].modules.names[0]}.bias",
            message=f"{facts.checkpoint.config.architecture} has no bias of {listing(biased)}",
            hint="leave the biases out, or restore the architecture of the original",
        )
    elif strangers:
        yield _unknown(facts, strangers, Severity.WARNING)


def _unknown(facts: Facts, found: Sequence[Entry], severity: Severity | None = None) -> Hit:
    return Hit(
        where=found[0].modules.names[0],
        message=f"{facts.checkpoint.config.architecture} has no {listing(found)}",
        hint="give the tensors the names of the architecture, or leave them out",
        severity=severity,
    )


def _unserved(facts: Facts) -> Iterator[Hit]:
    """Report what vLLM is known to refuse of a model as transformers saves it, where no more is known of the architecture."""
    names = refused_names(facts.checkpoint.config.architecture)
    if found := [entry for entry in facts.entries if names.intersection(dense_tensors(entry))]:
        yield Hit(
            where=found[0].modules.names[0],
            message=f"vLLM's {facts.checkpoint.config.architecture} has no {listing(found)}",
            hint="serve it with another engine: so it is saved, and so vLLM refuses it",
        )


def _is_stranger(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules that the architecture does not have, or that lie beyond its layers; none in parts that are not known."""
    module = entry.modules.template
    if entry.is_head and (module == "lm_head" or is_head_of_engine(skeleton, module)):
        return False  # of the head, engines' verdicts tell
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
    if attention is not None and _is_attention(attention, skeleton):
        return False
    if _beyond(entry, skeleton, facts):
        return True
    names = (*dense_tensors(entry), *fused_tensors(entry, skeleton, facts), *parts_of_fused(entry, skeleton))
    names = tuple(name for name in names if not name.endswith(".bias")) or names  # a bias vouches for no weight
    return not any(own_name(skeleton, name) in skeleton.tensors for name in names)


def _is_refused(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a stranger in a place where vLLM refuses what it does not know."""
    return is_strange_to_tower(entry, skeleton, facts) or _place(entry, skeleton, facts) in skeleton.refuses


def _has_unknown_bias(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a bias beside a weight of the architecture that it does not have, where vLLM refuses biases that it does not know."""
    if "bias" not in skeleton.refuses or not {"bias", "weight"} <= entry.modules.parts.keys():
        return False
    if skeleton.wrapped and entry.kind in OTHER_PARTS:
        return False
    if any(other_part(skeleton, name) for name in entry.modules.first_tensors):
        return False
    names = (*dense_tensors(entry), *fused_tensors(entry, skeleton, facts))
    return not any(own_name(skeleton, name) in skeleton.tensors for name in names if name.endswith(".bias"))


def _leftovers(entry: Entry, skeleton: Skeleton, facts: Facts) -> list[str]:
    """Return what a quantizer left beside a dense weight in an unquantized model, where vLLM refuses what it does not know."""
    if facts.quant is not None or entry.stored.form not in (Form.DENSE, Form.FROZEN) or "inner" not in skeleton.refuses:
        return []
    if entry.kind in OTHER_PARTS or entry.is_head:
        return []
    return sorted(entry.modules.parts.keys() & _LEFT)


def _is_attention(template: str, skeleton: Skeleton) -> bool:
    """Tell a module of the architecture that other modules lie in, as attention does, none of them a state space's."""
    inside = f"{template.partition(f'.{NUMBER}.')[2]}." if skeleton.wrapped else f"{template}."
    names = skeleton.suffixes if skeleton.wrapped else skeleton.tensors
    own = {name.removeprefix(inside).removesuffix(".weight") for name in names if name.startswith(inside)}
    return bool(own) and own.isdisjoint(RECURRENT)


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
    if name.rpartition(".")[2] == "lm_head":
        return "head"
    if skeleton.wrapped and not any(has_part(skeleton, tensor) for tensor in entry.modules.first_tensors):
        return "module"
    if (
        entry.kind is Kind.DRAFT
        and _MTP in name
        and not (_is_in_body(name, skeleton) and "layer" not in skeleton.refuses)
    ):
        return "draft"
    return _place_by_name(entry, skeleton)


def _place_by_name(entry: Entry, skeleton: Skeleton) -> str:
    """Name the place of a stranger in the text model, or beside it, by what it is called alone."""
    name = entry.modules.template
    if not entry.modules.parts.keys() - {"bias"}:
        return "bias"
    inside = name.partition(f".{NUMBER}.")[2]
    if inside:
        return "inner" if "." in inside else "layer"
    if _is_in_body(name, skeleton):
        return "layer"
    return "module" if "." in entry.modules.first_tensors[0] else "top"


def _is_in_body(name: str, skeleton: Skeleton) -> bool:
    """Tell what lies beside the layers, in what holds their list: the loader that reads the layers reads it too."""
    return any(name.startswith(f"{stack.rpartition('.')[0]}.") for stack in skeleton.stacks)
