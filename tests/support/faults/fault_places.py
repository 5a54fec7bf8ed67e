"""The modules that faults of names and tensors are applied to, and how a fault is made for several of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults_model import Model


def names(name: str, change: Callable[[Model], object]) -> Fault:
    """Rename, drop or add tensors."""
    return Fault.edit(name, "names", change)


def tensors(name: str, change: Callable[[Model], object]) -> Fault:
    """Change dtypes and shapes."""
    return Fault.edit(name, "tensors", change)


def head(model: Model) -> str:
    return model.head


def down(model: Model) -> str:
    return model.down()


def key(model: Model) -> str:
    return model.layer("k_proj")


def fused(model: Model) -> str:
    return model.layer("qkv_proj", "gate_up_proj", "query_key_value")


def expert(model: Model) -> str:
    return model.expert()


PLACES: Final = {"head": head, "body": down, "k": key, "fused": fused, "expert": expert}
"""Modules that a fault of tensors is applied to."""


def each(name: str, change: Callable[[Model, str], object], *places: str) -> tuple[Fault, ...]:
    """Make a fault of tensors for each place."""
    return tuple(_placed(f"{name}-{place}", "tensors", change, place) for place in places or ("head", "body"))


def each_name(name: str, change: Callable[[Model, str], object], *places: str) -> tuple[Fault, ...]:
    """Make a fault of names for each place."""
    return tuple(_placed(f"{name}-{place}", "names", change, place) for place in places or ("head", "body"))


def _placed(name: str, part: str, change: Callable[[Model, str], object], place: str) -> Fault:
    return Fault.edit(name, part, lambda model: change(model, PLACES[place](model)))  # type: ignore[arg-type]
