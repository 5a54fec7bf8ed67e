"""Where a weight matrix lies inside a stored tensor: all of it, or one expert's part of a tensor that holds them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctq.checkpoint.header import TensorInfo


@dataclass(frozen=True, slots=True)
class WeightSlice:
    """A weight ``[rows, columns]``, in elements from the first of ``tensor``.

    Row ``r`` begins at ``start + r * columns``. With a ``stride`` the weight is stored transposed: column ``c`` begins at
    ``start + c * stride``.
    """

    tensor: str
    rows: int
    columns: int
    start: int = 0
    stride: int | None = None

    @property
    def numel(self) -> int:
        """How many weights it has."""
        return self.rows * self.columns


def whole(tensor: TensorInfo) -> WeightSlice:
    """Return a matrix ``[rows, columns]`` as a slice of itself."""
    rows, columns = tensor.shape
    return WeightSlice(tensor.name, rows, columns)


def rows_within(nbytes: int, row_bytes: int, *, multiple: int) -> int:
    """Return how many rows of so many bytes lie in ``nbytes``: a multiple of ``multiple``, and that many at least."""
    return max(multiple, nbytes // max(1, row_bytes) // multiple * multiple)
