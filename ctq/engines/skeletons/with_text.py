"""The skeleton of a wrapper with another text model inside than the one that it was learnt with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctq.engines.skeletons.skeleton import Skeleton, Slot

_HEAD = "lm_head"
_HEAD_BIAS = f"{_HEAD}.bias"
"""Heads of wrappers have none, whatever the text model's own has (transformers ``LlavaForConditionalGeneration``)."""
_OUTSIDE = frozenset({"top", "module"})
"""Places of tensors that do not lie in the text model."""


def with_text(wrapper: Skeleton, learnt: Skeleton, text: Skeleton, inner: str) -> Skeleton | None:
    """Return the skeleton of a wrapper around the text model ``text``, whose name or model type is ``inner``.

    ``learnt`` is the text model that the wrapper was learnt with: what its tensors are called in there tells what those of others
    are called. None where that cannot be told.
    """
    rename = _renaming(wrapper, learnt)
    names = {name: rename(name) for name in text.tensors if name != _HEAD_BIAS} if rename is not None else {}
    if rename is None or not names or None in names.values():
        return None
    own = {rename(name) for name in learnt.tensors} | {rename(f"{_HEAD}.weight")}
    outside = {
        name: slot for name, slot in wrapper.tensors.items() if name not in own and not _is_inside(name, wrapper)
    }
    moved = {name: other for name, other in names.items() if other is not None}
    return replace(
        wrapper,
        tensors=outside | moved_tensors(text, moved),
        text=text.architecture,
        moved=moved,
        refuses=refused_places(wrapper.refuses, text),
        inner=inner,
        computed=text.computed,
        embedding=None,
    )


def with_sizes_of(wrapper: Skeleton, text: Skeleton) -> Skeleton:
    """Return the skeleton of a wrapper in which tensors of unknown dimensions have those of the text model inside."""
    rename = _renaming(wrapper, text)
    if rename is None:
        return wrapper
    own = wrapper.tensors
    sizes = {rename(name): slot.dimensions for name, slot in text.tensors.items() if slot.dimensions is not None}
    known = {name: replace(slot, dimensions=sizes.get(name)) for name, slot in own.items() if slot.dimensions is None}
    return replace(wrapper, tensors={**own, **known})


def _is_inside(name: str, wrapper: Skeleton) -> bool:
    return wrapper.stack is not None and name.startswith(f"{wrapper.stack.rpartition('.')[0]}.")


def moved_tensors(text: Skeleton, names: Mapping[str, str]) -> dict[str, Slot]:
    """Return the tensors of a text model under the names that a wrapper gives them."""
    slots = ((other, text.tensors[name]) for name, other in names.items())
    return {other: replace(slot, beside=names.get(slot.beside or "")) for other, slot in slots}


def refused_places(places: frozenset[str], text: Skeleton) -> frozenset[str]:
    """Return the places where a wrapper around a text model refuses a tensor that it does not know."""
    return places & (text.refuses | _OUTSIDE)


def _renaming(wrapper: Skeleton, learnt: Skeleton) -> Callable[[str], str | None] | None:
    """Return what gives the tensors of a text model their names in the wrapper."""
    if wrapper.stack is None or learnt.stack is None:
        return None
    body, own = (stack.rpartition(".")[0] for stack in (wrapper.stack, learnt.stack))
    if body.endswith(f".{own}"):  # whole models lie inside, under one name
        return lambda name: f"{body.removesuffix(own)}{name}"

    def rename(name: str) -> str | None:
        if name.startswith(f"{_HEAD}."):
            return name
        return f"{body}{name.removeprefix(own)}" if name.startswith(f"{own}.") else None

    return rename
