"""How much of a weight is left after quantization, in decibels, by observer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from raw_weights import DTYPES, gaussian, to_bits, to_floats

from ctq.kernels.quantize import allocate_output, quantize_block
from ctq.kernels.spec import KernelSpec
from ctq.recipe.recipe import Observer

if TYPE_CHECKING:
    from ctq.kernels.stats import BlockStats


def stats(dtype: str, observer: Observer, group_size: int | None = None) -> BlockStats:
    bits = gaussian(dtype, 2048, 4096, seed=11)
    spec = KernelSpec(dtype, "group" if group_size else "channel", group_size, observer=observer)
    return quantize_block(bits, spec, allocate_output(spec, *bits.shape))


@pytest.mark.parametrize("dtype", DTYPES)
def test_decibels_of_gaussian_rows(dtype: str) -> None:
    assert stats(dtype, "minmax").sqnr_db >= 41.24
    assert stats(dtype, "mse").sqnr_db >= 41.35


def test_decibels_of_gaussian_groups() -> None:
    assert stats("BF16", "minmax", 128).sqnr_db >= 43.7
    assert stats("BF16", "mse", 128).sqnr_db >= 43.85


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_search_never_makes_a_row_worse(dtype: str, symmetric: bool) -> None:
    values = np.random.default_rng(5).standard_t(3, (64, 512))
    values[:8] = 0
    values[8:16, 1:] = 0
    for row in to_bits(values, dtype):
        minmax, mse = (
            quantize_block(row[None], spec, allocate_output(spec, 1, row.size))
            for spec in (
                KernelSpec(dtype, symmetric=symmetric),
                KernelSpec(dtype, symmetric=symmetric, observer="mse"),
            )
        )
        assert mse.noise <= minmax.noise * (1 + 1e-5)


def test_search_finds_what_a_scan_of_all_scales_finds() -> None:
    bits = gaussian("BF16", 48, 4096, seed=2)
    spec = KernelSpec("BF16", observer="mse")
    found = quantize_block(bits, spec, allocate_output(spec, *bits.shape))
    rows = to_floats(bits, "BF16")
    best = np.full(len(rows), np.inf)
    for share in np.arange(0.8, 1.0001, 0.0025):
        scale = to_floats(to_bits(np.abs(rows).max(1, keepdims=True) * share / 127.5, "BF16"), "BF16")
        error = rows - np.clip(np.rint(rows / scale), -128, 127) * scale
        best = np.minimum(best, (error.astype(np.float64) ** 2).sum(1))
    assert found.noise <= best.sum() * 1.003
