"""What a kernel is asked to do, as a value, so that a plan can be made without numpy or numba."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ctq.recipe.packing import stored_parts, values_per_word

if TYPE_CHECKING:
    from ctq.recipe.recipe import Observer

SourceDtype = Literal["BF16", "F16", "F32"]
Strategy = Literal["channel", "group"]


@dataclass(frozen=True)
class KernelSpec:
    """How the rows of one weight become integers; scales keep the weight's own dtype.

    ``group_size`` counts columns and belongs to the strategy "group" alone. ``packed`` stores values, and zero
    points, as compressed-tensors' "pack-quantized" does: four unsigned bytes in an int32 word.

    With the observer "minmax", |w - (q - zero point) * scale| <= scale / 2 holds in float32 for every weight (only
    asymmetric F32 rows within half a percent of the largest float32 may overflow). "mse" looks for the scale of least
    squared error and so cuts off the largest weights, for which that bound does not hold.
    """

    dtype: SourceDtype
    strategy: Strategy = "channel"
    group_size: int | None = None
    symmetric: bool = True
    packed: bool = False
    observer: Observer = "minmax"
    num_bits: int = 8

    def __post_init__(self) -> None:
        if self.num_bits != 8:
            raise ValueError(f"kernels quantize to 8 bits, not {self.num_bits}")
        if (self.strategy == "group") != (self.group_size is not None):
            raise ValueError(f"strategy {self.strategy!r} does not go with group size {self.group_size}")
        if self.group_size is not None and self.group_size < 1:
            raise ValueError(f"a group of {self.group_size} columns")

    @property
    def values_per_word(self) -> int:
        """Count the values that share one element of the output."""
        return values_per_word(self.num_bits) if self.packed else 1

    def groups(self, columns: int) -> int:
        """Count the scales of one row. Raises ValueError when the group size does not divide the columns."""
        if self.group_size is None:
            return 1
        if columns % self.group_size:
            raise ValueError(f"group size {self.group_size} does not divide {columns} columns")
        return columns // self.group_size


@dataclass(frozen=True)
class ArrayShape:
    """One output array of a block; ``dtype`` is a safetensors name."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class BlockShape:
    """The arrays that quantizing a block of whole rows fills; ``zero_point`` is there when asymmetric."""

    values: ArrayShape
    scale: ArrayShape
    zero_point: ArrayShape | None


def block_shape(spec: KernelSpec, rows: int, columns: int) -> BlockShape:
    """Describe the output of ``rows`` rows."""
    parts = stored_parts(spec, (rows, columns), spec.groups(columns), scale=spec.dtype, packed=spec.packed)
    return BlockShape(
        values=ArrayShape(*parts["weight_packed" if spec.packed else "weight"]),
        scale=ArrayShape(*parts["weight_scale"]),
        zero_point=None if spec.symmetric else ArrayShape(*parts["weight_zero_point"]),
    )
