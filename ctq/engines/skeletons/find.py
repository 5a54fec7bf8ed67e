"""The skeleton of an architecture: what its tensors are called and how large they are, learnt from transformers' builds of it.

The data is made by ``benchmarks/learn/skeletons.py``: names with ``#`` for numbers, whether every layer has the tensor, dimensions
as sums of products of numbers of the config, and where vLLM refuses a tensor that it does not know. Others are not known.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ctq.engines.configs.labels import LABELS
from ctq.engines.configs.towers import are_known, tower_value
from ctq.engines.data_file import of_architecture, read_data
from ctq.engines.skeletons.backend_experts import as_backend_builds
from ctq.engines.skeletons.read import parts_of_fused, read_slots, read_towers
from ctq.engines.skeletons.skeleton import Skeleton, Slot
from ctq.engines.skeletons.switches import learnt_tensors
from ctq.engines.skeletons.with_text import moved_tensors, refused_places, with_sizes_of, with_text
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.bare_models import has_a_type, is_without_head
from ctq.engines.vllm_models.borrowed import inner_name
from ctq.engines.vllm_models.causal_lms import causal_lm_of
from ctq.engines.vllm_models.config_classes import known_model, whole_model, wrapper_of
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.own_code import brings_a_model
from ctq.engines.vllm_models.text_architecture import text_model_beneath

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from ctq.checkpoint.config import ModelConfig


_SCORE = "score.weight"
"""What makes classes of a text model's states (vLLM 0.32.0 models/adapters.py, ``as_seq_cls_model``)."""


def skeleton_of(config: ModelConfig) -> Skeleton | None:
    """Return the skeleton of a model's architecture; of a wrapper only with the text model that was learnt.

    vLLM's Transformers backend builds the model that the model type stands for, whatever the architecture is called.
    """
    all_known, name = read_data("skeletons")["architectures"], config.architecture or ""
    found = all_known.get(name)
    if found is not None and is_without_head(name) and brings_a_model(config):
        return None  # an encoder of another kind under a known name (Jina's XLM-RoBERTa)
    built = _built_by_type(config)
    if built is not None:
        places = frozenset(found["refuses"] if found is not None else ())
        return _as_the_backend_builds(built, places) if built in all_known else None
    if is_served_by_backend(config.architecture) and (wrapper := wrapper_of(config.model_type)) is not None:
        around = skeleton_around(wrapper, inner_name(config))
        return replace(around, refuses=frozenset()) if around is not None else None
    whole = whole_model(config.architecture)
    if whole is not None:
        return _without_head(skeleton_named(whole), relative=config.relative) if whole in all_known else None
    if found is None and (model := text_model_beneath(name)) in all_known:
        body = _without_head(skeleton_named(model), relative=config.relative)
        tensors = {**body.tensors, _SCORE: Slot(always=False, dimensions=(LABELS, "hidden_size"))}
        return replace(body, tensors=tensors, refuses=frozenset())  # a prefix may be there or not, and other outputs
    skeleton = skeleton_around(name, inner_name(config), towers=has_learnt_towers(config))
    if skeleton is not None and found is not None and not has_learnt_towers(config):
        skeleton = with_tower_from(skeleton, _learnt_with_its_tower(config))
    if skeleton is None or not config.pools:
        return skeleton
    if skeleton.wrapped:
        return replace(skeleton, relative_inside="text" in known_model(config.architecture))
    return skeleton if not config.relative else _relative(skeleton) if found is not None else None


def has_learnt_towers(config: ModelConfig) -> bool:
    """Tell a model whose towers are of the types that its architecture was learnt with, or that has none."""
    return are_known(_tower_types(config.architecture), config)


def _learnt_with_its_tower(config: ModelConfig) -> str | None:
    """Return another wrapper that was learnt with the type of tower that a config names, and calls it as the config's own does.

    Of several it is the one that has most of the own one's other tensors. vLLM's own classes and its backend build towers apart.
    """
    own, types = skeleton_named(config.architecture or ""), _tower_types(config.architecture)
    if len(types) != 1 or not own.towers.lists:
        return None
    [path], root = types, _root_of(own)
    level = tower_value(config, path)
    wanted = {path: level.get("model_type") if isinstance(level, dict) else None}
    others = read_data("skeletons")["architectures"].items()
    by_backend = is_served_by_backend(own.architecture)
    alike_built = ((name, entry) for name, entry in others if is_served_by_backend(name) == by_backend)
    learnt = (skeleton_named(name) for name, entry in alike_built if entry.get("towers") == wanted)
    alike = [other for other in learnt if other.towers.lists and _root_of(other) == root]
    beside = {name for name in own.tensors if not name.startswith(f"{root}.")}
    best = max(alike, key=lambda other: len(beside & other.tensors.keys()), default=None)
    return best.architecture if best is not None else None


def with_tower_from(skeleton: Skeleton, architecture: str | None) -> Skeleton:
    """Return the skeleton of a wrapper with the tower of another one; itself where there is none."""
    if architecture is None:
        return skeleton
    return skeleton.with_towers_of(skeleton_named(architecture), _root_of(skeleton_named(skeleton.architecture)))


def _root_of(skeleton: Skeleton) -> str:
    """Return where a wrapper keeps its tower (`vision_tower`, `model.vision_tower`)."""
    words = next(iter(skeleton.towers.lists)).split(".")
    return ".".join(words[: 2 if words[0] == "model" else 1])


def _as_the_backend_builds(architecture: str, places: frozenset[str]) -> Skeleton:
    """Return the skeleton of transformers' own class, which loads no fused weight from its parts."""
    own, parts = (
        skeleton_named(architecture),
        parts_of_fused(architecture, read_data("skeletons")["architectures"][architecture]),
    )
    tensors = {name: slot for name, slot in own.tensors.items() if name not in parts}
    return replace(own, tensors=tensors, refuses=places)


def _without_head(skeleton: Skeleton, *, relative: bool) -> Skeleton:
    """Return the skeleton of a model that pools: vLLM drops the head, if there is one."""
    tensors = {name: slot for name, slot in skeleton.tensors.items() if not name.startswith("lm_head.")}
    pooling = replace(skeleton, tensors=tensors, refuses=skeleton.refuses - {"head", "top"})
    return _relative(pooling) if relative else pooling


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
    Without ``towers`` nothing is said of what is made of their configs: those are of other types than the learnt ones.
    """
    data, all_known = read_data("borrowed_skeletons"), read_data("skeletons")["architectures"]
    if architecture not in all_known:
        return borrowed_skeleton(architecture, inner, towers=towers)
    own = skeleton_named(architecture) if towers else skeleton_named(architecture).with_other_towers()
    text, learnt = _architecture(inner), _architecture(own.inner)
    if own.inner is None:
        return own
    if text == learnt or architecture not in data["any_text"]:
        is_text = learnt in all_known and all_known[learnt]["inner"] is None
        return with_sizes_of(own, skeleton_named(learnt)) if is_text else own
    if any(name not in all_known or all_known[name]["inner"] is not None for name in (text, learnt)):
        return None
    return with_text(own, skeleton_named(learnt), skeleton_named(text), inner or "")


def _architecture(inner: str | None) -> str:
    """Return the architecture with a skeleton that the name or the model type of a text model stands for."""
    name = causal_lm_of(inner) or inner or ""
    return str(read_data("borrowed_skeletons")["same"].get(name, name))


@lru_cache(maxsize=16)
def borrowed_skeleton(architecture: str, inner: str | None, *, towers: bool = False) -> Skeleton | None:
    """Return the skeleton of an architecture that is made of others: another name of one, or a wrapper with one inside.

    ``inner`` is the architecture of the text model inside, or its model type; with ``towers`` the wrapper's other parts are among
    its tensors. The data is made by ``benchmarks/learn/borrowed_skeletons.py`` and ``borrowed_towers.py``.
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
    beside = wrapper.get("towers", {}) if towers else {}
    return replace(
        text,
        architecture=architecture,
        text=name,
        moved=moved,
        tensors={**moved_tensors(text, moved), **read_slots(beside)},
        towers=read_towers(beside),
        refuses=refused_places(frozenset(wrapper["refuses"]), text),
        inner=inner,
        embedding=None,
        others=frozenset(wrapper["parts"]) - {before.partition(".")[0]},
    )


def borrowing_wrappers() -> Container[str]:
    """Return the architectures of wrappers that are made of others."""
    wrappers: Mapping[str, Any] = read_data("borrowed_skeletons")["wrappers"]
    return wrappers


def _tower_types(architecture: str | None) -> Mapping[str, Any]:
    """Return the types of the towers that were learnt of a wrapper, by their config's key; None where its class takes no other."""
    found = of_architecture("skeletons", architecture)
    if found is not None:
        return dict(found.get("towers", {}))
    borrowed = read_data("borrowed_skeletons")["wrappers"].get(architecture or "", {})
    return dict(borrowed.get("towers", {}).get("types", {}))


@lru_cache(maxsize=16)
def skeleton_named(architecture: str) -> Skeleton:
    """Return the skeleton of a known architecture."""
    found = read_data("skeletons")["architectures"][architecture]
    slots = read_slots(found)
    if is_served_by_backend(architecture):
        slots = as_backend_builds(slots)
    brought = {name: Slot(always=False, dimensions=None) for name in learnt_tensors(architecture)}
    brought |= parts_of_fused(architecture, found)
    return Skeleton(
        architecture=architecture,
        tensors=slots | {name: slot for name, slot in brought.items() if name not in slots},
        refuses=frozenset(found["refuses"]),
        inner=found["inner"],
        computed=frozenset(found["computed"]),
        embedding=found.get("embedding"),
        towers=read_towers(found),
    )


def is_wrapper(architecture: str | None) -> bool:
    """Tell an architecture that was learnt with a text model inside."""
    found = of_architecture("skeletons", architecture)
    return found is not None and found["inner"] is not None


def reads_towers(architecture: str | None) -> bool:
    """Tell whether a wrapper's tensors beside the text model are made by a config of their own; taken for so where not known."""
    entry = of_architecture("skeletons", architecture)
    if entry is None or entry.get("towers") != {}:
        return True
    sizes = (size for slot in entry["tensors"].values() for size in slot[1] or ())
    return any("." in size for size in sizes if size is not None)


def tower_configs(architecture: str | None) -> frozenset[str]:
    """Return the keys of a wrapper's config under which the configs of its towers were learnt to be."""
    return frozenset(of_architecture("skeletons", architecture, {}).get("towers", ()))
