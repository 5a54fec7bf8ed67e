"""What kernels store, against compressed-tensors: packing, zero points, and its decompression of the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from raw_weights import DTYPES, gaussian, to_floats, to_tensor

from ctq.kernels.quantize import BlockOutput, allocate_output, quantize_block
from ctq.kernels.spec import KernelSpec, Strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray

GROUPS: list[tuple[Strategy, int | None]] = [("channel", None), ("group", 32), ("group", 128)]


def quantized(bits: NDArray[Any], spec: KernelSpec) -> BlockOutput:
    out = allocate_output(spec, *bits.shape)
    for array in (out.values, out.scale, out.zero_point):
        if array is not None:
            array.view(np.uint8)[...] = 0xA5  # whatever was there must not show
    quantize_block(bits, spec, out)
    return out


def unpacked_spec(spec: KernelSpec) -> KernelSpec:
    return KernelSpec(spec.dtype, spec.strategy, spec.group_size, spec.symmetric, observer=spec.observer)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (3, 5), (4, 8), (7, 30), (9, 131)])
def test_words_are_those_of_compressed_tensors(rows: int, cols: int, symmetric: bool) -> None:
    bits = gaussian("BF16", rows, cols)
    spec = KernelSpec("BF16", symmetric=symmetric, packed=True)
    packed, plain = quantized(bits, spec), quantized(bits, unpacked_spec(spec))
    assert np.array_equal(packed.scale, plain.scale)
    assert np.array_equal(packed.values, pack_to_int32(torch.from_numpy(plain.values), 8).numpy())
    back = unpack_from_int32(torch.from_numpy(packed.values), 8, torch.Size([rows, cols]))
    assert np.array_equal(back.numpy(), plain.values)


@pytest.mark.parametrize("rows", [1, 3, 4, 6])
@pytest.mark.parametrize(("strategy", "group_size"), GROUPS)
def test_zero_points_are_packed_along_the_rows(rows: int, strategy: Strategy, group_size: int | None) -> None:
    bits = gaussian("F16", rows, 256)
    spec = KernelSpec("F16", strategy, group_size, symmetric=False, packed=True)
    packed, plain = quantized(bits, spec), quantized(bits, unpacked_spec(spec))
    assert packed.zero_point is not None
    assert plain.zero_point is not None
    words = pack_to_int32(torch.from_numpy(plain.zero_point), 8, packed_dim=0)
    assert np.array_equal(packed.zero_point, words.numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("strategy", "group_size"), GROUPS)
def test_decompression_is_within_half_a_step_and_its_rounding(
    dtype: str, symmetric: bool, strategy: Strategy, group_size: int | None
) -> None:
    bits = gaussian(dtype, 10, 256)
    out = quantized(bits, KernelSpec(dtype, strategy, group_size, symmetric, packed=True))
    weights = QuantizationArgs(num_bits=8, strategy=strategy, group_size=group_size, symmetric=symmetric)
    state = {
        "weight_packed": torch.from_numpy(out.values),
        "weight_scale": to_tensor(out.scale, dtype),
        "weight_shape": torch.tensor(bits.shape),
    }
    if out.zero_point is not None:
        state["weight_zero_point"] = torch.from_numpy(out.zero_point)
    compressor: Any = BaseCompressor.get_value_from_registry("pack-quantized")
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    restored = compressor.decompress(state, scheme)["weight"].float().numpy()
    weight, scale = to_floats(bits, dtype), to_floats(out.scale, dtype)
    steps = np.abs(weight - restored).reshape(*scale.shape, -1) / scale[..., None]
    rounding = 255 * float(torch.finfo(to_tensor(bits, dtype).dtype).eps) / 2  # of q * scale, in steps
    assert steps.max() <= 0.5 + rounding


@pytest.mark.parametrize("dtype", DTYPES)
def test_int_quantized_is_decompressed_to_value_times_scale(dtype: str) -> None:
    bits = gaussian(dtype, 5, 70)
    out = quantized(bits, KernelSpec(dtype))
    compressor: Any = BaseCompressor.get_value_from_registry("int-quantized")
    args = QuantizationArgs(num_bits=8, strategy="channel")
    scheme = QuantizationScheme(targets=["Linear"], weights=args)
    state = {"weight": torch.from_numpy(out.values), "weight_scale": to_tensor(out.scale, dtype)}
    restored = compressor.decompress(state, scheme)["weight"]
    exact = out.values.astype(np.float32) * to_floats(out.scale, dtype)
    assert torch.equal(restored, torch.from_numpy(exact).to(restored.dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_asymmetric_agrees_with_their_range_and_zero_point(dtype: str) -> None:
    from compressed_tensors.quantization.utils import calculate_qparams

    bits = gaussian(dtype, 64, 512)
    weight = torch.from_numpy(to_floats(bits, dtype))
    args = QuantizationArgs(num_bits=8, strategy="channel", symmetric=False)
    scale, zero = calculate_qparams(weight.amin(1, keepdim=True), weight.amax(1, keepdim=True), args)
    out = quantized(bits, KernelSpec(dtype, symmetric=False))
    assert out.zero_point is not None
    ours = to_floats(out.scale, dtype)
    assert (ours >= scale.numpy() * (1 - 1e-6)).all()
    assert (ours <= scale.numpy() * (1 + 2.0**-7)).all()
    assert np.abs(out.zero_point.astype(int) - zero.numpy().astype(int)).max() <= 1
