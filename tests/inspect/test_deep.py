"""Values of scales are decoded exactly, whatever their dtype, and only small tensors are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import breaking as do
import numpy as np
import pytest
from builders import edit_tensors, tiny_quantized

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.deep import decode, examine
from ctq.inspect.facts.collect import collect_facts

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


def test_of_a_weight_only_a_sample_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_checkpoint(LocalFolder(tiny_quantized(tmp_path, kind="w8a16", vocab=20_000)))
    read: list[int] = []
    plain = LocalFolder.read

    def counting(self: LocalFolder, name: str, start: int = 0, length: int | None = None) -> bytes:
        part = plain(self, name, start, length)
        read.append(len(part))
        return part

    monkeypatch.setattr(LocalFolder, "read", counting)
    assert examine(checkpoint, collect_facts(checkpoint).entries) == ()
    weights = [info for info in checkpoint.tensors.values() if info.name.endswith(("packed", "embed_tokens.weight"))]
    small = sum(info.nbytes for info in checkpoint.tensors.values()) - sum(info.nbytes for info in weights)
    assert sum(read) == small + 4096 * len(weights)


def test_parts_of_fused_experts_are_read_under_their_own_names(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, kind="w8a16")
    edit_tensors(folder, do.fused_experts)
    name = "model.layers.0.mlp.experts.gate_up_proj_scale"
    do.put(name, do.floats(4, 256, 1, value=float("nan")))(folder)
    checkpoint = open_checkpoint(LocalFolder(folder))
    assert name in {odd.tensor for odd in examine(checkpoint, collect_facts(checkpoint).entries)}
