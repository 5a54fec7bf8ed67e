"""The units of a plan: which bytes of which source file become which bytes of which output file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import DTYPES
from ctq.checkpoint.writer import TensorSpec

if TYPE_CHECKING:
    from ctq.checkpoint.weight_slice import WeightSlice
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


def output_parts(dtype: str, rows: int, columns: int, scheme: Scheme) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return dtype and shape of each tensor that a weight becomes, by part name, as compressed-tensors 0.17.0 stores them.

    int-quantized: ``weight`` int8 [rows, columns]. pack-quantized: ``weight_packed`` int32 with four values to the word along the
    columns, ``weight_shape`` int64 [2], and for asymmetric weights ``weight_zero_point`` int32 packed along the rows.
    ``weight_scale`` has the source's dtype and shape [rows, groups] (one group per row for per-channel).
    """
    weights = scheme.weights
    groups = columns // weights.group_size if weights.group_size else 1
    scale = {"weight_scale": (dtype, (rows, groups))}
    if scheme.format == "int-quantized":
        return {"weight": ("I8", (rows, columns)), **scale}
    per_word = 32 // weights.num_bits
    packed = {"weight_packed": ("I32", (rows, -(-columns // per_word))), **scale, "weight_shape": ("I64", (2,))}
    zero_point = {} if weights.symmetric else {"weight_zero_point": ("I32", (-(-rows // per_word), groups))}
    return packed | zero_point


def output_specs(module: str, dtype: str, shape: tuple[int, ...], scheme: Scheme) -> list[TensorSpec]:
    """Return the tensors that the weight of ``module`` becomes."""
    rows, columns = shape
    return [TensorSpec(f"{module}.{part}", *spec) for part, spec in output_parts(dtype, rows, columns, scheme).items()]
