"""What the values of small tensors can be guilty of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Oddity(StrEnum):
    """What can be wrong with a value."""

    NOT_FINITE = "not-finite"
    NOT_POSITIVE = "not-positive"
    ABSURD = "absurd"
    FALSE_SHAPE = "false-shape"
    EMPTY = "empty"
    VECTOR_NOT_FINITE = "vector-not-finite"


@dataclass(frozen=True, slots=True)
class Odd:
    """One tensor with something wrong in its values: the first oddity that holds."""

    tensor: str
    oddity: Oddity
    detail: str
