"""Entries of ``data/skeletons.json`` and ``borrowed_skeletons.json`` as values: what their lists and objects mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.engines.configs.towers import TowerList
from ctq.engines.skeletons.skeleton import Slot, Towers
from ctq.engines.vllm.fused import TAKEN_APART

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_slots(entry: Mapping[str, Any]) -> dict[str, Slot]:
    """Return the tensors of an entry by template."""
    return {
        name: Slot(always, _dimensions(sizes), *beside)
        for name, (always, sizes, *beside) in entry.get("tensors", {}).items()
    }


def read_towers(entry: Mapping[str, Any]) -> Towers:
    """Return what an entry says of towers beside their tensors."""
    return Towers(
        lists={stack: TowerList(*one) for stack, one in entry.get("lists", {}).items()},
        numbered={name: tuple(numbers) for name, numbers in entry.get("numbered", {}).items()},
        sizes={name: _dimensions(sizes) for name, sizes in entry.get("sizes", {}).items()},
        switched={name: tuple(switch) for name, switch in entry.get("switched", {}).items()},
    )


def parts_of_fused(architecture: str, entry: Mapping[str, Any]) -> dict[str, Slot]:
    """Return the parts of fused weights that vLLM's class loads apart too: the first rows, and two alike."""
    known, slots = TAKEN_APART.get(architecture, {}), {}
    for name, (_, sizes, *_) in entry["tensors"].items() if known else ():
        parent, _, leaf = name.removesuffix(".weight").rpartition(".")
        if leaf in known and name.endswith(".weight"):
            first, _, alike = sizes[0].rpartition("+")
            rows = [*([first] if first else []), *[alike.removeprefix("2*")] * 2]
            for part, size in zip(known[leaf], rows, strict=True):
                slots[f"{parent}.{part}.weight"] = Slot(always=False, dimensions=(size, *sizes[1:]))
    return slots


def _dimensions(sizes: list[str | None] | None) -> tuple[str | None, ...] | None:
    return tuple(sizes) if sizes else None
