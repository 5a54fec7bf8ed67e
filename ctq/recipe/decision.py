"""What a recipe makes of each module and of the head, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from ctq.checkpoint.weight_slice import WeightSlice
    from ctq.errors import Problem
    from ctq.recipe.heads import Head
    from ctq.recipe.schemes import Scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens to one module: a ``scheme``, or None for dense, and why; ``ignore`` is the pattern that tells engines.

    ``part`` is where its weight lies in a tensor that holds several; None where it is a tensor of its own.
    """

    module: str
    tensor: str
    kind: Kind
    scheme: Scheme | None
    reason: str
    ignore: str | None = None
    part: WeightSlice | None = None

    @property
    def left_dense(self) -> bool:
        """Whether it is a module whose weight stays as it is: all experts in one tensor are one, a bias or a buffer is none."""
        return self.scheme is None and (self.kind is Kind.FUSED_EXPERTS or self.tensor.endswith(".weight"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Every decision in the order of the files, the head and its scheme (None: dense), and what stands against the recipe."""

    modules: tuple[Decision, ...]
    head: Head | None
    head_scheme: Scheme | None
    head_reason: str
    problems: tuple[Problem, ...]
