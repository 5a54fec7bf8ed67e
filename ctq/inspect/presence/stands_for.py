"""Which tensors of an architecture the modules of the files stand for, in whatever form they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ctq.engines.skeletons.engine_places import own_name
from ctq.engines.vllm.fused import REFUSED_FUSED, TAKEN_APART, fused_mapping
from ctq.engines.vllm_models.fused_layouts import experts_in
from ctq.inspect.modules.forms import Form
from ctq.recipe.experts import fused_names
from ctq.recipe.fused import COMMON_FUSED
from ctq.recipe.packing import values_per_word
from ctq.recipe.template import NUMBER, SINGLE_EXPERT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

HEAD = "lm_head.weight"
"""How the template of a head's weight ends."""
Present: TypeAlias = "Mapping[str, frozenset[int]]"
"""The layers that have each tensor that the files stand for, by template."""
_INSIDE = 2
"""Numbers in the name of what lies in a list inside of layers."""
_OF_PAIRS = frozenset({"U8", "F8_E8M0", "F8_E4M3"})
"""Dtypes of the scales of such weights."""
_WEIGHTS = frozenset({"weight", "weight_packed", "qweight", "weight_scale", "blocks"})


def layers_by_tensor(facts: Facts, skeleton: Skeleton) -> dict[str, frozenset[int]]:
    """Return the layers that have each tensor, by template; a set with no number in it where there are no layers."""
    found: dict[str, set[int]] = {}
    for entry in facts.entries:
        numbers = {number[0] for number in entry.modules.numbers if number}
        for name in (*dense_tensors(entry), *fused_tensors(entry, skeleton, facts)):
            if (own := own_name(skeleton, name)) in skeleton.tensors:
                found.setdefault(own, set()).update(numbers)
    for whole, parts in _taken_apart(skeleton).items():
        present = [_numbers(facts, part) for part in parts]
        found.setdefault(whole, set()).update(frozenset.intersection(*present))
    found = {name: numbers for name, numbers in found.items() if numbers or NUMBER not in name}
    return {name: frozenset(numbers) for name, numbers in found.items()}


def pieces_by_tensor(facts: Facts, skeleton: Skeleton) -> dict[str, frozenset[tuple[int, ...]]]:
    """Return the numbers of layers and pieces that have each tensor of lists inside of layers (`self_attn.1`), by template."""
    found: dict[str, set[tuple[int, ...]]] = {}
    for entry in facts.entries if any(map(is_in_a_list_inside, skeleton.tensors)) else ():
        for name in dense_tensors(entry):
            if (own := own_name(skeleton, name)) in skeleton.tensors and is_in_a_list_inside(own):
                found.setdefault(own, set()).update(entry.modules.numbers)
    return {name: frozenset(numbers) for name, numbers in found.items()}


def is_in_a_list_inside(tensor: str) -> bool:
    """Tell a tensor, by template, of a list of modules inside of layers that is none of experts."""
    return tensor.count(NUMBER) == _INSIDE and SINGLE_EXPERT not in tensor


def is_in_the_same_piece(tensor: str, other: str) -> bool:
    """Tell a tensor, by template, that lies in one piece of a list inside of layers with another."""
    return is_in_a_list_inside(tensor) and other.startswith(f"{tensor[: tensor.rindex(NUMBER) + 1]}.")


def _numbers(facts: Facts, tensor: str) -> frozenset[int]:
    """Return the layers that have a tensor which is part of a fused one."""
    return frozenset(
        number[0]
        for entry in facts.entries
        if tensor in dense_tensors(entry)
        for number in entry.modules.numbers
        if number
    )


def _taken_apart(skeleton: Skeleton) -> dict[str, list[str]]:
    """Return the fused weights of an architecture that vLLM loads from their parts too, with the names of those."""
    known = TAKEN_APART.get(skeleton.text or skeleton.architecture, {})
    found: dict[str, list[str]] = {}
    for name in skeleton.tensors if known else ():
        parent, _, leaf = name.removesuffix(".weight").rpartition(".")
        parts = [f"{parent}.{part}.weight" for part in known.get(leaf, ())]
        if parts and name.endswith(".weight") and skeleton.tensors.keys() >= {*parts}:
            found[name] = parts
    return found


def stands_for(entry: Entry, skeleton: Skeleton, facts: Facts) -> list[str]:
    """Name every tensor that a module may stand for: dense, as engines fuse it, and the fused one that it is a part of."""
    return [*dense_tensors(entry), *fused_tensors(entry, skeleton, facts), *_wholes_of(entry, skeleton)]


def _wholes_of(entry: Entry, skeleton: Skeleton) -> list[str]:
    """Name the fused tensor of the skeleton that a module is a part of, where vLLM loads it from its parts."""
    weight = f"{entry.modules.template}.weight"
    return [whole for whole, parts in _taken_apart(skeleton).items() if weight in parts]


def dense_tensors(entry: Entry) -> list[str]:
    """Name the tensors that a dense checkpoint would have for these modules."""
    template, parts = entry.modules.template, entry.modules.parts
    dense = [f"{template}.{part}" if part else template for part in parts if part not in _WEIGHTS]
    dense += [f"{template}_{part}" for part in parts if part and template.rpartition(".")[0].endswith("experts")]
    return [f"{template}.weight", template, *dense] if _WEIGHTS & parts.keys() else dense


def dense_shapes(entry: Entry) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the dense shapes that the parts of a set stand for."""
    template, stored = entry.modules.template, entry.stored
    for part, tensor in entry.modules.parts.items():
        if part == "weight" and _holds_pairs(entry):
            yield f"{template}.weight", (*tensor.shape[:-1], tensor.shape[-1] * 2)
        elif part == "weight" and stored.form in (Form.DENSE, Form.INT, Form.FLOAT, Form.PLAIN, Form.FP8):
            yield f"{template}.weight", tensor.shape
        elif part == "weight_packed" and stored.form is Form.PACKED and stored.bits and len(tensor.shape) == 2:
            yield f"{template}.weight", (tensor.shape[0], tensor.shape[1] * values_per_word(stored.bits))
        elif part == "qweight" and stored.rows and stored.columns:
            yield f"{template}.weight", (stored.rows, stored.columns)
        elif not part.startswith("weight"):
            joint = "_" if part and template.rpartition(".")[0].endswith("experts") else "."
            yield f"{template}{joint}{part}" if part else template, tensor.shape


def _holds_pairs(entry: Entry) -> bool:
    """Tell bytes of two codes each under the name of a weight, as ModelOpt and Quark write four bits."""
    parts = entry.modules.parts
    scale = parts.get("weight_scale")
    return (
        scale is not None and parts["weight"].dtype == "U8" and scale.dtype in _OF_PAIRS and parts["weight"].shape != ()
    )


def fused_tensors(entry: Entry, skeleton: Skeleton, facts: Facts) -> list[str]:
    """Name the tensors that a module stands for which is stored as engines fuse it, or experts apart or together."""
    parent, _, leaf = entry.modules.template.rpartition(".")
    fused = fused_mapping(facts.config.architecture)
    parts = fused.get(leaf, ())
    if parts == (leaf,) and f"{parent}.{leaf}.weight" not in skeleton.tensors:
        parts = COMMON_FUSED.get(leaf, ())  # files have it in both ways
    if leaf in REFUSED_FUSED.get(skeleton.text or skeleton.architecture, ()):
        parts = ()
    if parts and any(
        set(parts) < set(more) and f"{parent}.{more[0]}.weight" in skeleton.tensors for more in fused.values()
    ):
        parts = ()  # the engine fuses them with others
    ends = ["weight", *(["bias"] if "bias" in entry.modules.parts else [])]
    return [
        *(f"{parent}.{part}.{end}" for part in parts for end in ends),
        *fused_names(entry.modules.template),
        *experts_inside(entry, skeleton),
    ]


def experts_inside(entry: Entry, skeleton: Skeleton) -> list[str]:
    """Name the single experts' weights that a tensor of all holds, of an architecture whose files have them apart."""
    template = entry.modules.template
    if own_name(skeleton, template) in skeleton.tensors:
        return []
    return experts_in(skeleton.text or skeleton.architecture, template)
