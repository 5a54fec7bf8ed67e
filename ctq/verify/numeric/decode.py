"""Stored values taken apart with numpy, a block of rows at a time: for forms that the compiled kernels do not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ctq.checkpoint.values import e4m3
from ctq.kernels.stats import BlockStats, CompareStats, RowStats
from ctq.recipe.packing import offset, values_per_word

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctq.verify.numeric.pairs import QuantizedPair

_ROUNDING = 1e-5
"""Steps by which float32 arithmetic may put an error beyond half a step that is not there."""


def unpacked(words: NDArray[np.int32], bits: int, columns: int) -> NDArray[np.uint8]:
    """Return the unsigned codes ``[rows, columns]`` of int32 words ``[rows, words]``, the first in the lowest bits."""
    codes = np.ascontiguousarray(words).view(np.uint8).reshape(words.shape[0], -1)
    if bits == 4:  # two codes to the byte
        codes = np.stack((codes & 15, codes >> 4), axis=-1).reshape(words.shape[0], -1)
    return codes[:, :columns]


def unpacked_rows(words: NDArray[np.int32], bits: int, rows: int) -> NDArray[np.uint8]:
    """Return the unsigned codes ``[rows, groups]`` of zero points packed along the rows, ``[words, groups]``."""
    per_word = values_per_word(bits)
    codes = unpacked(words.reshape(-1, 1), bits, per_word).reshape(words.shape[0], words.shape[1], per_word)
    return codes.transpose(0, 2, 1).reshape(-1, words.shape[1])[:rows]


def dequantized(
    pair: QuantizedPair, values: NDArray[Any], scale: NDArray[np.float32], zero: NDArray[Any] | None
) -> NDArray[np.float32]:
    """Return the float32 weights ``[rows, columns]`` of stored ``values``; ``scale`` and ``zero`` are ``[rows, groups]``."""
    if pair.form == "float8":
        codes = _FLOAT8[values]
    elif pair.form == "packed":
        codes = unpacked(values, pair.bits, pair.columns).astype(np.float32)
        if zero is None:
            codes -= offset(pair.bits)
    else:
        codes = values.astype(np.float32)
    grouped = codes.reshape(codes.shape[0], scale.shape[1], -1)
    if zero is not None:
        grouped -= zero.astype(np.float32)[..., None]
    restored: NDArray[np.float32] = (grouped * scale[..., None]).reshape(codes.shape)
    return restored


def compare_floats(
    original: NDArray[np.float32], restored: NDArray[np.float32], scale: NDArray[np.float32]
) -> CompareStats:
    """Sum up the errors of a block of rows; a weight not finite in the original is counted and left out."""
    is_finite = np.isfinite(original)
    nonfinite = int(original.size - np.count_nonzero(is_finite))
    if nonfinite:
        original, restored = np.where(is_finite, original, 0), np.where(is_finite, restored, 0)
    error = (original - restored).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.abs(error).reshape(error.shape[0], scale.shape[1], -1) / scale[..., None]
    steps = np.where(np.isnan(steps), 0.0, steps)
    signals, noises = np.square(original, dtype=np.float64).sum(1), np.square(error).sum(1)
    rows = np.square(steps).sum((1, 2))
    largest = float(steps.max(initial=0.0))
    return CompareStats(
        BlockStats(original.size, float(signals.sum()), float(noises.sum()), largest, nonfinite),
        beyond=int(np.count_nonzero(steps > 0.5 + _ROUNDING)),
        steps=float(rows.sum()),
        worst_row=_worst_row(rows, signals, noises),
    )


def _worst_row(
    steps: NDArray[np.float64], signals: NDArray[np.float64], noises: NDArray[np.float64]
) -> RowStats | None:
    if not steps.size:
        return None
    row = int(np.argmax(steps))
    return RowStats(float(steps[row]), row, float(signals[row]), float(noises[row]))


_FLOAT8 = e4m3(np.arange(256, dtype=np.uint8))
"""The value of every E4M3 byte."""
