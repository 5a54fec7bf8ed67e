"""Raw tensor data is decoded exactly, whatever its dtype."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctq.checkpoint.values import decode


@pytest.mark.parametrize(
    ("dtype", "torch_name"),
    [("BF16", "bfloat16"), ("F16", "float16"), ("F32", "float32"), ("F8_E4M3", "float8_e4m3fn")],
)
def test_every_bit_pattern_means_what_torch_says(dtype: str, torch_name: str) -> None:
    size = {"BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1}[dtype]
    raw = np.arange(256 if size == 1 else 65536, dtype=np.uint32).astype(f"<u{size}")
    if size == 4:
        raw <<= 16
    expected = torch.from_numpy(raw.view(f"<i{size}")).view(getattr(torch, torch_name)).float().numpy()
    np.testing.assert_array_equal(decode(raw.tobytes(), dtype), expected)


def test_exponents_are_powers_of_two_and_the_last_is_nan() -> None:
    values = decode(bytes([127, 128, 120, 255]), "F8_E8M0")
    assert values is not None
    assert values[:3].tolist() == [1.0, 2.0, 2.0**-7]
    assert np.isnan(values[3])


def test_dtypes_that_are_no_scale_are_left_alone() -> None:
    assert decode(bytes(8), "I64") is None
