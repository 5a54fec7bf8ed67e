"""The packed layout, held against compressed-tensors' own packing of the same codes."""

from __future__ import annotations

import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

from ctq.recipe.packing import offset, stored_parts, values_per_word, words
from ctq.recipe.schemes import QuantArgs


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize(("rows", "columns"), [(8, 64), (6, 33)])
def test_shapes_are_those_of_compressed_tensors(bits: int, rows: int, columns: int) -> None:
    lowest = torch.full((rows, columns), -offset(bits), dtype=torch.int8)
    packed = pack_to_int32(lowest, bits)
    zero = pack_to_int32(torch.zeros(rows, 3, dtype=torch.int8), bits, packed_dim=0)
    parts = stored_parts(QuantArgs(num_bits=bits, symmetric=False), (rows, columns), 3, scale="BF16", packed=True)
    assert parts["weight_packed"] == ("I32", tuple(packed.shape))
    assert parts["weight_zero_point"] == ("I32", tuple(zero.shape))
    assert parts["weight_scale"] == ("BF16", (rows, 3))
    assert not packed.any()  # the lowest code is stored as zero
    assert zero[0, 0] == sum(offset(bits) << (bits * place) for place in range(min(rows, values_per_word(bits))))


def test_what_is_not_packed_has_a_byte_for_each_value() -> None:
    codes = QuantArgs(symmetric=False)
    assert stored_parts(codes, (6, 33), 1, scale="F16", packed=False) == {
        "weight": ("I8", (6, 33)),
        "weight_scale": ("F16", (6, 1)),
        "weight_zero_point": ("I8", (6, 1)),
    }


@pytest.mark.parametrize("bits", [0, -4, 33, 64])
def test_a_width_that_no_word_holds_divides_nothing(bits: int) -> None:
    assert (values_per_word(bits), words(7, bits)) == (1, 7)
