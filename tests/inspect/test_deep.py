"""Values of scales are decoded exactly, whatever their dtype, and only small tensors are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from builders import tiny_quantized

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.collect import collect_facts
from ctq.inspect.deep import decode, examine

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("dtype", "torch_name"),
    [("BF16", "bfloat16"), ("F16", "float16"), ("F32", "float32"), ("F8_E4M3", "float8_e4m3fn")],
)
def test_every_bit_pattern_means_what_torch_says(dtype: str, torch_name: str) -> None:
    import torch

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


def test_weights_are_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_checkpoint(LocalFolder(tiny_quantized(tmp_path, kind="w8a16")))
    read: list[int] = []
    plain = LocalFolder.read

    def counting(self: LocalFolder, name: str, start: int = 0, length: int | None = None) -> bytes:
        part = plain(self, name, start, length)
        read.append(len(part))
        return part

    monkeypatch.setattr(LocalFolder, "read", counting)
    assert examine(checkpoint, collect_facts(checkpoint).entries) == ()
    scales = sum(
        tensor.nbytes for tensor in checkpoint.tensors.values() if "scale" in tensor.name or "shape" in tensor.name
    )
    assert sum(read) == scales
    assert max(read) < checkpoint.nbytes / 50
