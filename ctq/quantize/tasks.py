"""The units of a plan: which bytes of which source file become which bytes of which output file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import DTYPES
from ctq.checkpoint.writer import TensorSpec
from ctq.recipe.packing import stored_parts

if TYPE_CHECKING:
    from ctq.checkpoint.weight_slice import WeightSlice
    from ctq.recipe.packing import Parts
    from ctq.recipe.recipe import Observer
    from ctq.recipe.schemes import Scheme


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes ``[offset, offset + nbytes)`` of a file, counted from its first byte."""

    file: str
    offset: int
    nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyTask:
    """Bytes that go over as they are: one or more adjacent tensors, of which ``tensor`` is the first."""

    tensor: str
    source: Place
    target: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizeTask:
    """One weight and the places of what it becomes; ``outputs`` is keyed by part (``weight_scale``, ...).

    ``source`` is the place of the whole tensor that holds it.
    """

    module: str
    weight: WeightSlice
    dtype: str
    scheme: Scheme
    source: Place
    outputs: dict[str, Place]
    observer: Observer = "minmax"

    @property
    def tensor(self) -> str:
        """The source tensor that holds the weight."""
        return self.weight.tensor

    @property
    def rows(self) -> int:
        """Output channels."""
        return self.weight.rows

    @property
    def columns(self) -> int:
        """Input channels."""
        return self.weight.columns

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in the source."""
        return self.columns * DTYPES[self.dtype].bits // 8

    @property
    def nbytes(self) -> int:
        """Bytes of the weight in the source."""
        return self.rows * self.row_bytes


Task = CopyTask | QuantizeTask


def output_parts(dtype: str, rows: int, columns: int, scheme: Scheme) -> Parts:
    """Return dtype and shape of each tensor that a weight becomes; the scale has the source's dtype, one to a row by channel."""
    groups = columns // scheme.weights.group_size if scheme.weights.group_size else 1
    return stored_parts(scheme.weights, (rows, columns), groups, scale=dtype, packed=scheme.is_packed)


def output_specs(module: str, dtype: str, shape: tuple[int, ...], scheme: Scheme) -> list[TensorSpec]:
    """Return the tensors that the weight of ``module`` becomes."""
    rows, columns = shape
    return [TensorSpec(f"{module}.{part}", *spec) for part, spec in output_parts(dtype, rows, columns, scheme).items()]
