"""Tensors that were not quantized: byte for byte the reference's, or its values rounded to another float dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctq.checkpoint.dtypes import FLOAT_SOURCES
from ctq.checkpoint.values import RAW_TYPES, floats
from ctq.verify.numeric.result import Difference
from ctq.verify.tensor_bytes import first_difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctq.verify.numeric.pairs import DensePair
    from ctq.verify.tensor_bytes import TensorBytes

_BLOCK = 1 << 20
_ITEM_BYTES = {"BF16": 2, "F16": 2, "F32": 4}


def same_form(pair: DensePair) -> bool:
    """Tell whether both have one dtype and shape, so that their bytes can be equal."""
    return (pair.tensor.dtype, pair.tensor.shape) == (pair.reference.dtype, pair.reference.shape)


def is_rounded(pair: DensePair) -> bool:
    """Tell whether the values may be the reference's in another float dtype."""
    return pair.tensor.shape == pair.reference.shape and {pair.tensor.dtype, pair.reference.dtype} <= FLOAT_SOURCES


def compare_bytes(
    pair: DensePair, result: TensorBytes, reference: TensorBytes, *, start: int, stop: int
) -> Difference | None:
    """Return the first byte of ``[start, stop)`` that differs, or None."""
    offset = first_difference((result, pair.tensor.name), (reference, pair.reference.name), start=start, stop=stop)
    return None if offset is None else Difference(pair.tensor.name, offset)


def compare_rounded(pair: DensePair, result: TensorBytes, reference: TensorBytes) -> Difference | None:
    """Return the first value that is not the reference's rounded to nearest, or None."""
    size, wide = _ITEM_BYTES[pair.tensor.dtype], _ITEM_BYTES[pair.reference.dtype]
    values = pair.tensor.nbytes // size
    for first in range(0, values, _BLOCK):
        count = min(_BLOCK, values - first)
        found = np.empty(count, RAW_TYPES[pair.tensor.dtype])
        original = np.empty(count, RAW_TYPES[pair.reference.dtype])
        result.read(pair.tensor.name, found.data.cast("B"), first * size)
        reference.read(pair.reference.name, original.data.cast("B"), first * wide)
        differs = found != rounded(floats(original, pair.reference.dtype), pair.tensor.dtype)
        if differs.any():
            return Difference(pair.tensor.name, (first + int(np.argmax(differs))) * size)
    return None


def rounded(values: NDArray[np.float32], dtype: str) -> NDArray[Any]:
    """Return the bits of float32 values rounded to nearest, ties to even."""
    if dtype == "F16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).view(np.uint16)
    bits = values.view(np.uint32)
    if dtype == "F32":
        return bits
    nearest: NDArray[Any] = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    return nearest
