"""Stored values taken apart with numpy, against torch and compressed-tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ctq.verify.numeric.decode import _FLOAT8, compare_floats, unpacked, unpacked_rows
from ctq.verify.numeric.dense import rounded

DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def test_every_float8_byte_has_torchs_value() -> None:
    expected = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy()
    assert np.array_equal(_FLOAT8, expected, equal_nan=True)


@given(arrays.arrays(np.float32, 64, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_rounding_is_torchs(values: np.ndarray) -> None:
    for dtype in ("BF16", "F16"):
        expected = torch.from_numpy(values).to(DTYPES[dtype]).view(torch.int16).numpy().view(np.uint16)
        assert np.array_equal(rounded(values, dtype), expected)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("rows", "columns"), [(8, 32), (5, 7), (1, 1)])
def test_words_unpack_as_compressed_tensors_packs_them(bits: int, rows: int, columns: int) -> None:
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    half = 1 << (bits - 1)
    codes = torch.randint(-half, half, (rows, columns), generator=torch.Generator().manual_seed(0)).to(torch.int8)
    words = pack_to_int32(codes, bits).contiguous().numpy()
    assert np.array_equal(unpacked(words, bits, columns).astype(int) - half, codes.numpy())
    by_row = pack_to_int32(codes, bits, packed_dim=0).contiguous().numpy()
    assert np.array_equal(unpacked_rows(by_row, bits, rows).astype(int) - half, codes.numpy())


def test_half_a_step_is_within_and_more_is_beyond() -> None:
    scale = np.full((1, 2), 0.5, np.float32)
    original = np.array([[0.25, 0.26, 1.0, -1.0]], np.float32)
    found = compare_floats(original, np.array([[0.0, 0.0, 1.0, -2.0]], np.float32), scale)
    assert (found.block.weights, found.beyond, found.block.largest_error_steps) == (4, 2, 2.0)
    assert found.block.signal == pytest.approx(0.25**2 + 0.26**2 + 2)
    assert found.block.noise == pytest.approx(0.25**2 + 0.26**2 + 1)


def test_weights_that_are_not_finite_are_counted_and_left_out() -> None:
    original = np.array([[1.0, np.nan], [np.inf, 2.0]], np.float32)
    found = compare_floats(original, np.ones((2, 2), np.float32), np.ones((2, 1), np.float32))
    assert (found.block.nonfinite, found.block.signal, found.block.noise) == (2, 5.0, 1.0)
