"""What every model of the architecture has and the files lack, where that is known (``ctq.engines.skeletons.find``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.skeletons.engine_places import is_head_of_engine, own_name
from ctq.engines.skeletons.layer_counts import layer_count
from ctq.engines.skeletons.mixers import mixers
from ctq.engines.skeletons.unserved_names import needed_names
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.ties import Tie
from ctq.inspect.presence.missing_experts import missing_routers, missing_shared_experts
from ctq.inspect.presence.missing_parts import NORM, biases_of_towers, lost_parts, lost_towers
from ctq.inspect.presence.stands_for import HEAD, is_in_the_same_piece, pieces_by_tensor
from ctq.inspect.presence.survey import survey
from ctq.inspect.presence.towers import lacking
from ctq.recipe.kinds import OTHER_PARTS
from ctq.recipe.template import NUMBER, numbered, stack_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.presence.survey import Survey

_HEAD_MODULE = HEAD.removesuffix(".weight")
_ONE_OF = (
    frozenset({"mlp", "feed_forward", "block_sparse_moe", "ffn", "moe", "share_expert", "shared_mlp"}),
    frozenset({"self_attn", "attn", "cross_attn", "linear_attn", "mamba", "mamba_decoder", "conv", "mixer"}),
)
"""What layers have one of, whatever their kind: a feed-forward, dense or of experts; attention, a state space or a convolution."""
_EITHER = frozenset({"input_layernorm", "ln_attn"})
"""The norm before attention, of classes that have it under either name (Falcon)."""
_PARTNER = {"bias": "weight", "weight": "bias"}
"""What a module may have beside a part."""


def missing_tensors(facts: Facts) -> Iterator[str]:
    """Yield the name of each missing tensor, some of them more than once."""
    yield from _missing(survey(facts, facts.skeleton)) if facts.skeleton is not None else _unserved(facts)


def _unserved(facts: Facts) -> Iterator[str]:
    """Yield what vLLM is known to need in every layer, where no more is known of the architecture."""
    config = facts.config
    held = {name for entry in facts.entries for name in entry.modules.names}
    for template in needed_names(config.architecture):
        names = [numbered(template, layer) for layer in range(layer_count(config) or 0)]
        yield from (name for name in names if name.rpartition(".")[0] not in held)


def _missing(asked: Survey) -> Iterator[str]:
    if _is_called_otherwise(asked):
        return
    yield from _of_every_layer(asked)
    yield from _of_their_layers(asked)
    yield from _without_a_piece(asked)
    of_experts = (*missing_routers(asked), *missing_shared_experts(asked))
    yield from sorted({*_beside(asked), *of_experts, *_uneven_parts(asked)})
    yield from _beside_inside(asked)
    yield from lost_parts(asked)
    yield from _brought(asked)
    yield from lost_towers(asked.facts, asked.skeleton)
    yield from biases_of_towers(asked)
    yield from lacking(asked)
    if _lacks_head(asked.facts, asked.skeleton):
        yield HEAD


def _of_every_layer(asked: Survey) -> Iterator[str]:
    """Yield tensors of the text model that it always has, by template once or in each layer; of a wrapper's head, verdicts tell."""
    for name, slot in asked.skeleton.tensors.items():
        stack, listed, _ = name.partition(f".{NUMBER}.")
        if not asked.switched.get(name, slot.always) or not asked.skeleton.is_of_text(name) or name.endswith(HEAD):
            continue
        if not listed and name not in asked.present:
            yield name
        elif listed:
            found = asked.layers(name)
            yield from (numbered(name, layer) for layer in range(asked.counts.get(stack, 0)) if layer not in found)


def _without_a_piece(asked: Survey) -> Iterator[str]:
    """Yield a tensor of each layer that has none of the pieces of which it needs one, where no piece is in every layer."""
    kinds, _ = mixers(asked.config) or ([], "")
    tensors = asked.skeleton.tensors
    for stack, count in asked.counts.items():
        inside = f"{stack}.{NUMBER}."
        pieces = {name: name.removeprefix(inside).partition(".")[0] for name in tensors if name.startswith(inside)}
        for alternatives in (*_ONE_OF, *([_EITHER] if set(pieces.values()) >= _EITHER else [])):
            found = {name: asked.layers(name) for name, piece in pieces.items() if piece in alternatives}
            if not found or any(tensors[name].always for name in found):
                continue
            for layer in frozenset(range(count)).difference(*found.values()):
                alike = {other for other, kind in enumerate(kinds) if kinds[layer : layer + 1] == [kind]}
                usual = (name for name, having in found.items() if having & alike)
                yield numbered(next(usual, next(iter(found))), layer)


def _of_their_layers(asked: Survey) -> Iterator[str]:
    """Yield tensors that layers of one kind have and others lack, in each layer that should have them."""
    for name in asked.skeleton.tensors if asked.having else ():
        stack, _, inside = name.partition(f".{NUMBER}.")
        if stack in asked.counts:
            lost = asked.having.get(inside, frozenset()) - asked.layers(name)
            yield from (numbered(name, layer) for layer in sorted(lost))


def _brought(asked: Survey) -> Iterator[str]:
    """Yield tensors that a switch brings to layers which have another one, and that are not there beside it."""
    beside = {one.tensor: asked.layers(one.beside) for one in asked.optional if one.beside and one.needed}
    for name, where in beside.items():
        yield from (numbered(name, layer) for layer in sorted(where - asked.layers(name)))


def _is_called_otherwise(asked: Survey) -> bool:
    """Tell a wrapper that has none of its tensors and layers all the same: the same model under other prefixes."""
    slots = asked.skeleton.tensors.items()
    if not asked.skeleton.wrapped or any(name in asked.present for name, slot in slots if slot.always):
        return False
    return any(entry.modules.depth and entry.kind not in OTHER_PARTS for entry in asked.facts.entries)


def _beside(asked: Survey) -> Iterator[str]:
    """Yield optional tensors that a layer lacks, or all of the model, although it has what they never lack beside it.

    Nothing is said of what vLLM has no place for under a switch's value, nor of a bias beside a bias where it is not known that
    vLLM needs it under that: it may leave both unread.
    """
    for name, slot in asked.skeleton.tensors.items():
        if slot.beside is None or (slot.beside.endswith(".bias") and not asked.switched.get(name)):
            continue
        if name in asked.untaken or is_in_the_same_piece(name, slot.beside):
            continue
        if stack_of(name) in asked.counts:
            yield from (numbered(name, layer) for layer in sorted(asked.layers(slot.beside) - asked.layers(name)))
        elif NUMBER not in name and slot.beside in asked.present and name not in asked.present:
            yield name


def _beside_inside(asked: Survey) -> Iterator[str]:
    """Yield tensors of a piece inside of a layer (`self_attn.1`), which lacks them though it has what they never lack beside it."""
    pieces = pieces_by_tensor(asked.facts, asked.skeleton)
    for name, slot in asked.skeleton.tensors.items() if pieces else ():
        if slot.beside is not None and is_in_the_same_piece(name, slot.beside):
            for layer, number in sorted(pieces.get(slot.beside, frozenset()) - pieces.get(name, frozenset())):
                yield numbered(numbered(name, layer), number)


def _uneven_parts(asked: Survey) -> Iterator[str]:
    """Yield biases that a module has in some layers of one class and lacks in others, and weights that lack beside a bias.

    No bias stands without a weight. What no switch brings, and what vLLM has no place for, it leaves unread.
    """
    of_layers = {*asked.counts, *asked.skeleton.towers.lists}
    for name in asked.skeleton.tensors:
        module, _, part = name.rpartition(".")
        if part not in _PARTNER or name.count(NUMBER) != 1 or name in asked.untaken:
            continue
        lost = asked.of_counted(name, asked.layers(f"{module}.{_PARTNER[part]}") - asked.layers(name))
        if part == "weight":
            yield from (numbered(name, layer) for layer in lost)
        elif asked.layers(name) and stack_of(name) in of_layers and asked.switched.get(name, True):
            is_usual = NORM.search(module) is not None or len(asked.layers(name)) > len(lost)
            yield from (
                numbered(name, layer) for layer in lost if is_usual or layer in _layers_with_biases(name, asked)
            )


def _layers_with_biases(name: str, asked: Survey) -> frozenset[int]:
    """Return the layers in which other layers of the same block have a bias (those of the queries beside the keys)."""
    block = name.rpartition(".")[0].rpartition(".")[0]
    beside = (other for other in asked.present if other.startswith(f"{block}.") and other.endswith(".bias"))
    return frozenset[int]().union(*(asked.layers(other) for other in beside if other != name))


def _lacks_head(facts: Facts, skeleton: Skeleton) -> bool:
    """Tell a model without a head of its own that says it is not tied, or whose class in vLLM never ties."""
    if HEAD not in skeleton.tensors or skeleton.wrapped or _has_head(facts, skeleton):
        return False
    if facts.config.pools:
        return False
    flags = facts.config.tie_flags
    support = head_support(facts.config.architecture)
    if support is not None and support.uses_embedding:
        return False
    return (bool(flags) and not any(flags.values())) or (support is not None and support.when_tied is Tie.OWN)


def _has_head(facts: Facts, skeleton: Skeleton) -> bool:
    """Tell a model whose head has a name under which its class looks for one."""
    entry = facts.head.entry
    if entry is None:
        return False
    module = entry.modules.template
    return (
        module == _HEAD_MODULE or is_head_of_engine(skeleton, module) or own_name(skeleton, f"{module}.weight") == HEAD
    )
