"""How wide vLLM's Transformers backend builds experts: by a key of the config that the model's own class may not read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.recipe.template import EXPERTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.engines.skeletons.skeleton import Slot

_WIDTH = re.compile(r"(\d\*)?intermediate_size")
_FIRST = "moe_intermediate_size"


def as_backend_builds(slots: Mapping[str, Slot]) -> dict[str, Slot]:
    """Return tensors by template with the width of experts as the backend reads it: ``moe_intermediate_size`` where it is stated.

    Source: vLLM 0.32.0 ``model_executor/models/transformers/moe.py:187``.
    """
    return {name: _widened(slot) if EXPERTS in f"{name}." else slot for name, slot in slots.items()}


def _widened(slot: Slot) -> Slot:
    sizes = slot.dimensions
    return slot if sizes is None else replace(slot, dimensions=tuple(map(_first_read, sizes)))


def _first_read(size: str | None) -> str | None:
    found = _WIDTH.fullmatch(size) if size is not None else None
    return f"{found[1] or ''}{_FIRST}|{size}" if found is not None else size
