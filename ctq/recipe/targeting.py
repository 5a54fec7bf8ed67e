"""Which body group a module belongs to, by a rule that every engine shares.

compressed-tensors takes full names over regular expressions over classes, whatever the order of the groups; vLLM takes names and
regular expressions in the order of the groups, then classes. Where two regular expressions with different schemes reach one
module the two disagree, so that is refused instead of decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.errors import ExitCode, Problem
from ctq.recipe.kinds import Kind
from ctq.recipe.match import REGEX_PREFIX, matches_class, matches_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.recipe.recipe import BodyGroup
    from ctq.recipe.schemes import Scheme

LINEAR_CLASSES = ("Linear",)
CLASSES: dict[Kind, tuple[str, ...]] = {
    Kind.LINEAR: LINEAR_CLASSES,
    Kind.ROUTER: LINEAR_CLASSES,
    Kind.EMBEDDING: ("Embedding",),
    Kind.TRANSPOSED: ("Conv1D",),
}
"""Class names that headers can tell of what is to be quantized; compressed-tensors' class targets match these.

What a class target may reach in a checkpoint of others is more: ``CLASS_NAMES`` of ``ctq.inspect.facts.entries``.
"""


@dataclass(frozen=True, slots=True)
class Reached:
    """A target that reaches a module, and the scheme of its group."""

    target: str
    scheme: Scheme


def hits(module: str, body: Sequence[BodyGroup]) -> list[Reached]:
    """Return the targets of the strongest kind that reach a linear layer: full names, else regular expressions, else classes."""
    pairs = [Reached(target, group.scheme) for group in body for target in group.targets]
    exact = [hit for hit in pairs if hit.target == module]
    regex = [hit for hit in pairs if hit.target.startswith(REGEX_PREFIX) and matches_name(module, hit.target)]
    by_class = [hit for hit in pairs if matches_class(LINEAR_CLASSES, hit.target)]
    return exact or regex or by_class


def ambiguity(module: str, found: Sequence[Reached]) -> Problem | None:
    """Object to a module that targets of equal strength give different schemes."""
    other = next((hit for hit in found if hit.scheme != found[0].scheme), None)
    if other is None:
        return None
    return Problem(
        message=f"{module} is reached by `{found[0].target}` ({found[0].scheme.name}) and by `{other.target}` "
        f"({other.scheme.name}), which engines decide differently",
        hint="narrow one of the two targets",
        exit_code=ExitCode.USAGE,
    )
