"""TEN: what every model of the architecture has and the files lack, where that is known (`ctq.engines.skeletons.skeletons`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import TEXT_CONFIG_KEYS
from ctq.engines.skeletons.skeleton_names import other_part
from ctq.engines.skeletons.skeletons import counted_stacks, layer_count, skeleton_of
from ctq.engines.skeletons.switches import optional_tensors
from ctq.engines.skeletons.unserved_names import needed_names
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.ties import Tie, tie_when_tied
from ctq.inspect.modules.grouping import NUMBER
from ctq.inspect.rules.architecture.stands_for import layers_by_tensor
from ctq.inspect.rules.architecture.towers import lacking
from ctq.inspect.rules.rule import missing_from_files
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit

_HEAD = "lm_head.weight"
_TOWER = re.compile(r"vis|vpm")
_NORM = re.compile(r"norm|\bln_")
_ROUTERS = ("gate", "router")
_SHARED_COUNTS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "shared_expert_intermediate_size")
_EMBEDDING_ALWAYS = ("embed_as_head", "always_tied")
"""Classes of vLLM that take the logits from the embedding whatever the config says of ties."""


def missing_tensor(facts: Facts) -> Iterator[Hit]:
    """Report tensors that every model of the architecture has, and that are missing here.

    ## What it checks
    The embedding, the norms and whatever each layer of the architecture has, up to `num_hidden_layers`, where the architecture is
    known, biases that a switch of the config brings and those of a tower's norms and layers among them; and the head of a model
    that says it is not tied.

    ## Why it hurts
    vLLM does not report parameters that were never loaded when a model is quantized: they stay uninitialised, and the model
    serves garbage.

    ## Example
    `model.norm.weight`, which lay in a shard that was not copied and is in no index.

    ## How to mend
    Fetch or copy the checkpoint again, or quantize again from a complete original.

    ## References
    vLLM 0.32.0 `default_loader.py:507`; `benchmarks/learn/skeletons.py`.
    """
    skeleton = skeleton_of(facts.checkpoint.config)
    lost = _missing(facts, skeleton) if skeleton is not None else _unserved(facts)
    yield from missing_from_files(list(dict.fromkeys(lost)))


def _unserved(facts: Facts) -> Iterator[str]:
    """Yield what vLLM is known to need in every layer, where no more is known of the architecture."""
    config = facts.checkpoint.config
    held = {name for entry in facts.entries for name in entry.modules.names}
    for template in needed_names(config.architecture):
        names = [template.replace(NUMBER, str(layer), 1) for layer in range(layer_count(config) or 0)]
        yield from (name for name in names if name.rpartition(".")[0] not in held)


def _missing(facts: Facts, skeleton: Skeleton) -> Iterator[str]:
    present = layers_by_tensor(facts, skeleton)
    layers = range(layer_count(facts.checkpoint.config) or 0)
    if _is_called_otherwise(facts, skeleton, present):
        return
    stacks = counted_stacks(skeleton, facts.checkpoint.config)
    optional = list(optional_tensors(facts.checkpoint.config, skeleton))
    switched = {one.tensor: one.needed for one in optional if not one.beside}
    beside = {one.tensor: present.get(one.beside, frozenset()) for one in optional if one.beside and one.needed}
    for name, slot in skeleton.tensors.items():
        stack, numbered, _ = name.partition(f".{NUMBER}.")
        if not switched.get(name, slot.always) or not _is_of_text(name, skeleton) or name.endswith(_HEAD):
            continue  # of a wrapper's head, engines' verdicts tell
        if not numbered and name not in present:
            yield name
        elif numbered and stack in stacks:
            found = present.get(name, frozenset())
            yield from (name.replace(NUMBER, str(layer), 1) for layer in layers if layer not in found)
    shared = _shared_experts(facts, skeleton, present)
    yield from sorted({*_beside(skeleton, present, switched, stacks), *_routers(skeleton, present), *shared})
    yield from _other_parts(skeleton, present)
    for name, where in beside.items():
        lost = where - present.get(name, frozenset())
        yield from (name.replace(NUMBER, str(layer), 1) for layer in sorted(lost))
    yield from _lost_towers(facts, skeleton)
    yield from _biases_of_towers(facts.checkpoint.config, skeleton, present)
    others = [name for name in skeleton.tensors if not _is_of_text(name, skeleton) and not name.endswith(_HEAD)]
    yield from lacking(facts, skeleton, present, {name: switched.get(name) for name in others})
    if _lacks_head(facts, skeleton):
        yield _HEAD


def _is_called_otherwise(facts: Facts, skeleton: Skeleton, present: Mapping[str, frozenset[int]]) -> bool:
    """Tell a wrapper that has none of its tensors and layers all the same: the same model under other prefixes."""
    if not skeleton.wrapped or any(name in present for name, slot in skeleton.tensors.items() if slot.always):
        return False
    return any(entry.modules.depth and entry.kind not in (Kind.TOWER, Kind.PROJECTOR) for entry in facts.entries)


def _is_of_text(name: str, skeleton: Skeleton) -> bool:
    """Leave out what belongs to a wrapper's other parts."""
    return not skeleton.wrapped or (skeleton.stack is not None and name.startswith(skeleton.stack.rpartition(".")[0]))


def _other_parts(skeleton: Skeleton, present: Mapping[str, frozenset[int]]) -> Iterator[str]:
    """Yield the first tensor of each other part of a wrapper of which the files hold nothing: a tower, or a piece of one."""
    parts: dict[str, dict[str, list[str]]] = {}
    for name, slot in skeleton.tensors.items():
        if slot.always and not _is_of_text(name, skeleton) and not name.endswith(_HEAD):
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


def _lost_towers(facts: Facts, skeleton: Skeleton) -> Iterator[str]:
    """Yield towers that a config describes and the files hold nothing of, where no more is known of them than their name."""
    config = facts.checkpoint.config.raw.get("vision_config")
    towers = [part for part in sorted(skeleton.others) if _TOWER.search(part)] if isinstance(config, dict) else []
    names = (name for entry in facts.entries for name in entry.modules.tensor_names(entry.modules.names[0]))
    present = {other_part(skeleton, name) for name in names} if towers else set()
    if present.isdisjoint(towers):
        yield from towers


def _biases_of_towers(config: ModelConfig, skeleton: Skeleton, present: Mapping[str, frozenset[int]]) -> Iterator[str]:
    """Yield biases that norms and layers of other parts lack beside their weights, where no switch of the config leaves them out.

    Of what stands outside layers, only norms: towers of several kinds share names of the others.
    """
    is_off = any(key.endswith("bias") and value is False for key, value in _switches(config.raw))
    for name, slot in skeleton.tensors.items():
        weight = f"{name.removesuffix('.bias')}.weight"
        if not slot.always or not name.endswith(".bias") or weight not in present or _is_of_text(name, skeleton):
            continue
        if _NORM.search(weight) or (NUMBER in name and not is_off):
            found = present.get(name)
            lost = present[weight] - (found or frozenset())
            yield from (name.replace(NUMBER, str(number), 1) for number in sorted(lost))
            if NUMBER not in name and found is None:
                yield name


def _switches(level: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the switches of a wrapper's config and of those inside, but the text model's."""
    for key, value in level.items():
        if isinstance(value, bool):
            yield key, value
        elif isinstance(value, dict) and key not in TEXT_CONFIG_KEYS:
            yield from _switches(value)


def _part_and_piece(name: str) -> tuple[str, str]:
    """Return a wrapper's part that a tensor belongs to and the piece of that part (`model.visual`, `model.visual.merger`)."""
    words = name.split(".")
    depth = 2 if words[0] == "model" else 1
    return ".".join(words[:depth]), ".".join(words[: depth + 1])


def _beside(
    skeleton: Skeleton, present: Mapping[str, frozenset[int]], switched: Mapping[str, bool], stacks: tuple[str, ...]
) -> Iterator[str]:
    """Yield optional tensors that a layer lacks although it has what they never lack beside it.

    Of a bias beside a bias nothing is said where it is not known that vLLM needs it under the switch's value: it may leave both
    unread.
    """
    for name, slot in skeleton.tensors.items():
        if slot.beside is None or (slot.beside.endswith(".bias") and not switched.get(name)):
            continue
        if name.partition(f".{NUMBER}.")[0] in stacks:
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


def _lacks_head(facts: Facts, skeleton: Skeleton) -> bool:
    """Tell a model without a head of its own that says it is not tied, or whose class in vLLM never ties."""
    if _HEAD not in skeleton.tensors or facts.head.entry is not None or skeleton.wrapped:
        return False
    if facts.checkpoint.config.pools:
        return False
    flags = facts.checkpoint.config.tie_flags
    support = head_support(facts.checkpoint.config.architecture)
    if support is not None and any(way in (support.tie or "") for way in _EMBEDDING_ALWAYS):
        return False
    return (bool(flags) and not any(flags.values())) or (
        support is not None and tie_when_tied(support.tie or "") is Tie.OWN
    )
