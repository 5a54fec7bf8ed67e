"""TEN: the files against what the architecture is made of, where that is known (`ctq.engines.skeletons`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.engines.engine_names import engine_names
from ctq.engines.fused import fused_mapping
from ctq.engines.heads import head_support
from ctq.engines.skeleton_names import has_part, lies_in, own_name
from ctq.engines.skeletons import expected_now, layer_count, skeleton_of
from ctq.engines.ties import Tie, tie_when_tied
from ctq.findings import Severity
from ctq.inspect.grouping import NUMBER
from ctq.inspect.parts import CACHE_PARTS
from ctq.inspect.rules.rule import Hit, listing
from ctq.recipe.experts import fused_names
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.skeletons import Skeleton
    from ctq.inspect.entries import Entry
    from ctq.inspect.facts import Facts

_MOST_NAMED = 3
_BUFFERS = re.compile(r".*(?:rotary_pos_emb\.inv_freq|rotary_emb\.(?:inv_freq|cos_cached|sin_cached)).*")
"""Buffers that older tools saved, and that vLLM looks over (`AutoWeightsLoader`)."""
_MASKS = re.compile(r"(?:.*\.)?(?:attn|attention)\.(?:masked_)?bias")
"""Others, that only these model classes of vLLM 0.32.0 look over."""
_LOOK_OVER_MASKS = frozenset({"GPT2LMHeadModel", "GPTJForCausalLM", "GPTNeoXForCausalLM", "BloomForCausalLM"})
_ELSEWHERE = (Kind.TOWER, Kind.PROJECTOR)
"""Parts of wrappers that come in many kinds."""
_WEIGHTS = frozenset({"weight", "weight_packed", "qweight", "weight_scale", "blocks"})


def unknown_module(facts: Facts) -> Iterator[Hit]:
    """Report tensors that the architecture does not have.

    ## What it checks
    Every name against the tensors of the architecture, where those are known. It is an error where vLLM refuses a name that it does
    not know in that place, and a warning where vLLM looks away.

    ## Why it hurts
    A prefix too many or too few, a renamed module, a leftover of training: vLLM stops with *There is no module or parameter named
    ...*, and what should have been loaded is missing. Other engines leave it out silently.

    ## Example
    `module.model.layers.0.mlp.up_proj.weight`, or `mtp.fc.weight` in a `LlamaForCausalLM`.

    ## How to mend
    Give the tensors the names of the architecture, or leave them out.

    ## References
    vLLM 0.32.0 `model_executor/models/utils.py:442`; `benchmarks/skeletons.py`.
    """
    skeleton = skeleton_of(facts.checkpoint.config)
    if skeleton is None:
        return
    strangers = [entry for entry in facts.entries if _is_stranger(entry, skeleton, facts)]
    refused = [entry for entry in strangers if _place(entry, skeleton, facts) in skeleton.refuses]
    if found := refused or strangers:
        yield Hit(
            where=found[0].modules.names[0],
            message=f"{facts.checkpoint.config.architecture} has no {listing(found)}",
            hint="give the tensors the names of the architecture, or leave them out",
            severity=None if refused else Severity.WARNING,
        )


def _is_stranger(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    if entry.is_head and entry.modules.template == "lm_head":
        return False  # of the head, engines' verdicts tell
    if skeleton.wrapped and entry.kind in _ELSEWHERE and not entry.is_head:
        return not any(has_part(skeleton, name) for name in facts_names(entry))
    if skeleton.wrapped and not any(has_part(skeleton, name) for name in facts_names(entry)):
        return True
    if entry.modules.parts.keys() <= CACHE_PARTS and _is_module(entry.modules.template.removesuffix(".attn"), skeleton):
        return False
    if _is_buffer(entry.modules.names[0], facts):
        return False
    if _beyond(entry, skeleton, facts):
        return True
    names = (*_tensors(entry), *_fused(entry, skeleton, facts))
    return not any(own_name(skeleton, name) in skeleton.tensors for name in names)


def _is_module(template: str, skeleton: Skeleton) -> bool:
    """Tell a module that other modules of the architecture lie in, as attention does."""
    inside = f"{template.partition(f'.{NUMBER}.')[2]}." if skeleton.wrapped else f"{template}."
    names = skeleton.suffixes if skeleton.wrapped else skeleton.tensors
    return any(name.startswith(inside) for name in names)


def _is_buffer(name: str, facts: Facts) -> bool:
    is_mask = facts.checkpoint.config.architecture in _LOOK_OVER_MASKS and _MASKS.fullmatch(name) is not None
    return is_mask or _BUFFERS.fullmatch(name) is not None


def _fused(entry: Entry, skeleton: Skeleton, facts: Facts) -> list[str]:
    """Name the tensors that a module stands for which is stored as engines fuse it, or an expert apart from its tensor of all."""
    parent, _, leaf = entry.modules.template.rpartition(".")
    fused = fused_mapping(facts.checkpoint.config.architecture)
    parts = fused.get(leaf, ())
    if any(set(parts) < set(more) and f"{parent}.{more[0]}.weight" in skeleton.tensors for more in fused.values()):
        parts = ()  # the engine fuses them with others
    ends = ["weight", *(["bias"] if "bias" in entry.modules.parts else [])]
    return [*(f"{parent}.{part}.{end}" for part in parts for end in ends), *fused_names(entry.modules.template)]


def _tensors(entry: Entry) -> list[str]:
    """Name the tensors that a dense checkpoint would have for these modules."""
    template, parts = entry.modules.template, entry.modules.parts
    dense = [f"{template}.{part}" if part else template for part in parts if part not in _WEIGHTS]
    dense += [f"{template}_{part}" for part in parts if part and template.rpartition(".")[0].endswith("experts")]
    return [f"{template}.weight", template, *dense] if _WEIGHTS & parts.keys() else dense


def _beyond(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell modules of layers that the config does not count."""
    count, stack = layer_count(facts.checkpoint.config), skeleton.stack
    if count is None or stack is None or not lies_in(skeleton, entry.modules.template, stack):
        return False
    return min(numbers[0] for numbers in entry.modules.numbers) >= count


def _place(entry: Entry, skeleton: Skeleton, facts: Facts) -> str:
    """Name the place of a stranger as the data calls it; ``unread`` is one that vLLM drops before it looks at it."""
    name, config = entry.modules.template, facts.checkpoint.config
    names = engine_names(config.architecture, config.inner_architecture)
    if names is not None and names.drops(entry.modules.names[0]):
        return "unread"
    if _beyond(entry, skeleton, facts):
        return "beyond"
    if name.rpartition(".")[2] == "lm_head":
        return "head"
    if skeleton.wrapped and not any(has_part(skeleton, tensor) for tensor in facts_names(entry)):
        return "module"
    if entry.kind is Kind.DRAFT:
        return "draft"
    if not entry.modules.parts.keys() - {"bias"}:
        return "bias"
    inside = name.partition(f".{NUMBER}.")[2]
    if inside:
        return "inner" if "." in inside else "layer"
    return "module" if "." in next(iter(facts_names(entry))) else "top"


def facts_names(entry: Entry) -> list[str]:
    """Return the tensors of the first module, as the files call them."""
    return entry.modules.tensor_names(entry.modules.names[0])


def missing_tensor(facts: Facts) -> Iterator[Hit]:
    """Report tensors that every model of the architecture has, and that are missing here.

    ## What it checks
    The embedding, the norms and whatever each layer of the architecture has, up to `num_hidden_layers`, where the architecture is
    known, biases that a switch of the config brings among them; and the head of a model that says it is not tied.

    ## Why it hurts
    vLLM does not report parameters that were never loaded when a model is quantized: they stay uninitialised, and the model
    serves garbage.

    ## Example
    `model.norm.weight`, which lay in a shard that was not copied and is in no index.

    ## How to mend
    Fetch or copy the checkpoint again, or quantize again from a complete original.

    ## References
    vLLM 0.32.0 `default_loader.py:507`; `benchmarks/skeletons.py`.
    """
    skeleton = skeleton_of(facts.checkpoint.config)
    names = list(_missing(facts, skeleton)) if skeleton is not None else []
    if names:
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        yield Hit(
            where=names[0],
            message=f"missing from the files: {', '.join(names[:_MOST_NAMED])}{more}",
            hint="fetch the checkpoint again, or quantize again from a complete original",
        )


def _missing(facts: Facts, skeleton: Skeleton) -> Iterator[str]:
    present = _present(facts, skeleton)
    layers = range(layer_count(facts.checkpoint.config) or 0)
    if skeleton.wrapped and not any(name in present for name, slot in skeleton.tensors.items() if slot.always):
        return  # the same model under other prefixes
    switched = expected_now(facts.checkpoint.config)
    for name, slot in skeleton.tensors.items():
        stack, numbered, _ = name.partition(f".{NUMBER}.")
        if not (slot.always or name in switched) or not _is_of_text(name, skeleton):
            continue
        if not numbered and name not in present:
            yield name
        elif numbered and stack == skeleton.stack:
            found = present.get(name, frozenset())
            yield from (name.replace(NUMBER, str(layer), 1) for layer in layers if layer not in found)
    shared = _shared_experts(facts, skeleton, present)
    yield from sorted({*_beside(skeleton, present), *_routers(skeleton, present), *shared})
    yield from _other_parts(skeleton, present)
    if _lacks_head(facts, skeleton):
        yield "lm_head.weight"


def _is_of_text(name: str, skeleton: Skeleton) -> bool:
    """Leave out what belongs to a wrapper's other parts."""
    return not skeleton.wrapped or (skeleton.stack is not None and name.startswith(skeleton.stack.rpartition(".")[0]))


def _other_parts(skeleton: Skeleton, present: Mapping[str, frozenset[int]]) -> Iterator[str]:
    """Yield the first tensor of each other part of a wrapper of which the files hold nothing: a tower, or a piece of one."""
    parts: dict[str, dict[str, list[str]]] = {}
    for name, slot in skeleton.tensors.items():
        if slot.always and not _is_of_text(name, skeleton):
            part, piece = _part_and_piece(name)
            parts.setdefault(part, {}).setdefault(piece, []).append(name)
    for pieces in parts.values():
        lost = [names[0] for names in pieces.values() if not any(name in present for name in names)]
        if len(lost) == len(pieces):
            yield lost[0].replace(NUMBER, "0")
        else:
            # How many layers there are, the config decides: none may be right.
            yield from (
                name.replace(NUMBER, "0") for name in lost if f"{_part_and_piece(name)[1]}.{NUMBER}." not in name
            )


def _part_and_piece(name: str) -> tuple[str, str]:
    """Return a wrapper's part that a tensor belongs to and the piece of that part (`model.visual`, `model.visual.merger`)."""
    words = name.split(".")
    depth = 2 if words[0] == "model" else 1
    return ".".join(words[:depth]), ".".join(words[: depth + 1])


def _beside(skeleton: Skeleton, present: Mapping[str, frozenset[int]]) -> Iterator[str]:
    """Yield optional tensors that a layer lacks although it has what they never lack beside it."""
    for name, slot in skeleton.tensors.items():
        if slot.beside is not None and name.partition(f".{NUMBER}.")[0] == skeleton.stack:
            for layer in sorted(present.get(slot.beside, frozenset()) - present.get(name, frozenset())):
                yield name.replace(NUMBER, str(layer), 1)


def _routers(skeleton: Skeleton, present: Mapping[str, frozenset[int]]) -> Iterator[str]:
    """Yield routers that layers with experts lack, and experts that layers with a router lack: not every layer may have them."""
    for name, slot in skeleton.tensors.items():
        parent, _, leaf = name.removesuffix(".weight").rpartition(".")
        if slot.always or leaf not in _ROUTERS or not name.endswith(".weight"):
            continue
        experts = {other: found for other, found in present.items() if other.startswith(f"{parent}.experts.")}
        layers, routed = frozenset().union(*experts.values()), present.get(name, frozenset())
        for layer in sorted(layers - routed):
            yield name.replace(NUMBER, str(layer), 1)
        known = [other for other in skeleton.tensors if other.startswith(f"{parent}.experts.")]
        for layer in sorted(routed - layers) if known else ():
            yield known[0].replace(NUMBER, str(layer), 1).replace(NUMBER, "0")


_ROUTERS = ("gate", "router")


def _shared_experts(facts: Facts, skeleton: Skeleton, present: Mapping[str, frozenset[int]]) -> Iterator[str]:
    """Yield shared experts that layers with experts lack, where the config says that there are some."""
    if not facts.checkpoint.config.text_int(*_SHARED_COUNTS):
        return
    for name, slot in skeleton.tensors.items():
        parent, shared, _ = name.partition(".shared_expert")
        if slot.always or not shared or not name.endswith(".weight"):
            continue
        experts = [found for other, found in present.items() if other.startswith(f"{parent}.experts.")]
        for layer in sorted(frozenset[int]().union(*experts) - present.get(name, frozenset())):
            yield name.replace(NUMBER, str(layer), 1)


_SHARED_COUNTS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "shared_expert_intermediate_size")


def _lacks_head(facts: Facts, skeleton: Skeleton) -> bool:
    """Tell a model without a head of its own that says it is not tied, or whose class in vLLM never ties."""
    if "lm_head.weight" not in skeleton.tensors or facts.head.entry is not None or skeleton.wrapped:
        return False
    flags = facts.checkpoint.config.tie_flags
    support = head_support(facts.checkpoint.config.architecture)
    return (bool(flags) and not any(flags.values())) or (
        support is not None and tie_when_tied(support.tie or "") is Tie.OWN
    )


def _present(facts: Facts, skeleton: Skeleton) -> dict[str, frozenset[int]]:
    """Return the layers that have each tensor, by template; a set with no number in it where there are no layers."""
    found: dict[str, set[int]] = {}
    for entry in facts.entries:
        numbers = {number[0] for number in entry.modules.numbers if number}
        for name in (*_tensors(entry), *_fused(entry, skeleton, facts)):
            if (own := own_name(skeleton, name)) in skeleton.tensors:
                found.setdefault(own, set()).update(numbers)
    return {name: frozenset(numbers) for name, numbers in found.items()}
