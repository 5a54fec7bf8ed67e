"""In which layouts vLLM takes all experts of a layer in one tensor.

The data is made by ``benchmarks/learn/fused_layouts.py``, from loads by vLLM 0.32.0: ``straight`` is the layout of transformers 5,
``turned`` the one with every expert's matrix transposed (vLLM's ``is_fused_checkpoint_transposed``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.data_file import of_architecture
from ctq.recipe.experts import PROJECTIONS_HELD

if TYPE_CHECKING:
    from collections.abc import Sequence

_OWNER = ".experts"


def takes_turned_alone(architecture: str | None) -> bool:
    """Whether a class takes such tensors in no other layout than the turned one."""
    return _layouts(architecture) == ["turned"]


def experts_in(architecture: str | None, tensor: str) -> list[str]:
    """Name the weights of single experts that a tensor of all holds, where the class takes them so; none of other tensors."""
    owner, _, leaf = tensor.rpartition(".")
    if not owner.endswith(_OWNER) or "straight" not in _layouts(architecture):
        return []
    return [f"{owner}.#.{part}.weight" for part in PROJECTIONS_HELD.get(f"experts.{leaf}", ())]


def expert_shape(tensor: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of one expert's weight in a tensor of this shape (experts, rows of all parts, columns)."""
    rows, *columns = shape[1:]
    return (rows // len(PROJECTIONS_HELD[f"experts.{tensor.rpartition('.')[2]}"]), *columns)


def _layouts(architecture: str | None) -> list[str]:
    found: list[str] = of_architecture("fused_layouts", architecture, [])
    return found
