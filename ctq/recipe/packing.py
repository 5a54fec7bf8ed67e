"""What lies in the files for a quantized weight, and how codes are packed: several to a word of 32 bits, the first in the lowest.

Source: compressed-tensors 0.17.0 ``compressors/pack_quantized``. Codes of a width that does not divide a word leave its highest
bits empty. vLLM's parameters of such widths have fewer words, which ``engines/vllm/head/parameters.py`` counts as vLLM does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.recipe.schemes import Format

WORD_BITS: Final = 32
VALUES: Final[Mapping[Format, str]] = {"int-quantized": "weight", "pack-quantized": "weight_packed"}
"""The part that holds the codes."""

Parts = dict[str, tuple[str, tuple[int, ...]]]
"""Dtype and shape of each tensor of a weight, by part name."""


class Codes(Protocol):
    """What the shapes depend on beside the weight's own."""

    @property
    def num_bits(self) -> int:
        """Bits of a code."""

    @property
    def symmetric(self) -> bool:
        """Whether there are no zero points."""


def values_per_word(bits: int) -> int:
    """Return how many codes share a word; 1 where no word holds such a width, which a config may state."""
    return WORD_BITS // bits if 0 < bits <= WORD_BITS else 1


def words(count: int, bits: int) -> int:
    """Return how many words hold ``count`` codes, the last one perhaps in part."""
    return -(-count // values_per_word(bits))


def offset(bits: int) -> int:
    """Return what is added to signed codes, and to their zero points, to make them unsigned."""
    return 1 << (bits - 1)


def stored_parts(codes: Codes, shape: tuple[int, int], groups: int, *, scale: str, packed: bool) -> Parts:
    """Return the tensors of a weight ``[rows, columns]`` with so many scales of dtype ``scale`` to a row.

    int-quantized: ``weight`` int8 [rows, columns]. pack-quantized: ``weight_packed`` int32, packed along the columns, and
    ``weight_shape`` int64 [2]. ``weight_scale``, and ``weight_zero_point`` of asymmetric weights, are [rows, groups], packed zero
    points along the rows.
    """
    rows, columns = shape
    if not packed:
        zero_point = {} if codes.symmetric else {"weight_zero_point": ("I8", (rows, groups))}
        return {"weight": ("I8", (rows, columns)), "weight_scale": (scale, (rows, groups)), **zero_point}
    zero_point = {} if codes.symmetric else {"weight_zero_point": ("I32", (words(rows, codes.num_bits), groups))}
    return {
        "weight_packed": ("I32", (rows, words(columns, codes.num_bits))),
        "weight_scale": (scale, (rows, groups)),
        "weight_shape": ("I64", (2,)),
        **zero_point,
    }
