"""How one linear layer lies in the files of each quantization method: names, dtypes, shapes and true data.

Integer and FP8 forms hold the rounded weight; the 4-bit float and foreign forms hold random codes, as only their headers matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from raw_safetensors import Raw, from_floats, from_numpy

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int32]


def int_quantized(weight: Floats, dtype: str) -> dict[str, Raw]:
    """Per-channel int8 beside a scale [out, 1]."""
    scale = _scale(np.abs(weight).max(axis=1, keepdims=True) / 127.5, dtype)
    codes = np.clip(np.rint(weight / scale.floats), -128, 127).astype(np.int8)
    return {"weight": from_numpy(codes), "weight_scale": scale}


def static_int_quantized(weight: Floats, dtype: str) -> dict[str, Raw]:
    """The same with one static scale for the activations."""
    return int_quantized(weight, dtype) | {"input_scale": from_floats(np.array([0.02], np.float32), dtype)}


def int_with_zeros(weight: Floats, dtype: str) -> dict[str, Raw]:
    """The same with zero points, as Quark writes them of symmetric layers too."""
    rows = weight.shape[0]
    return static_int_quantized(weight, dtype) | {
        "weight_zero_point": from_numpy(np.zeros((rows,), np.int8)),
        "input_zero_point": from_numpy(np.zeros((1,), np.int8)),
    }


def int_vector(weight: Floats, dtype: str) -> dict[str, Raw]:
    """The same with the scales of rows as a vector and those of activations without dimensions, which experts take alone."""
    form = int_with_zeros(weight, dtype)
    inputs = {part: Raw(raw.dtype, (), raw.data) for part, raw in form.items() if part.startswith("input_")}
    scale = form["weight_scale"]
    return form | inputs | {"weight_scale": Raw(scale.dtype, scale.shape[:1], scale.data)}


def pack_quantized(
    weight: Floats, dtype: str, *, bits: int = 8, group: int | None = 128, symmetric: bool = True
) -> dict[str, Raw]:
    """Codes packed into int32 along the input, scales [out, groups], the shape, and packed zero points if asymmetric."""
    rows, columns = weight.shape
    blocks = weight.reshape(rows, -1, group or columns)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    if symmetric:
        steps = np.abs(blocks).max(axis=2) / (high + 0.5)
    else:
        steps = (np.maximum(blocks.max(axis=2), 0) - np.minimum(blocks.min(axis=2), 0)) / (high - low)
    scale = _scale(steps, dtype)
    zero = (
        np.zeros_like(steps)
        if symmetric
        else np.clip(np.rint(low - np.minimum(blocks.min(axis=2), 0) / scale.floats), low, high)
    )
    codes = np.clip(np.rint(blocks / scale.floats[..., None]) + zero[..., None], low, high)
    form = {
        "weight_packed": from_numpy(_pack(codes.reshape(rows, columns).astype(np.int32), bits)),
        "weight_scale": scale,
        "weight_shape": from_numpy(np.array(weight.shape, np.int64)),
    }
    if not symmetric:
        form["weight_zero_point"] = from_numpy(np.ascontiguousarray(_pack(zero.astype(np.int32).T, bits).T))
    return form


def float_quantized(weight: Floats, dtype: str) -> dict[str, Raw]:
    """Per-channel FP8 (E4M3) beside a scale [out, 1]."""
    scale = _scale(np.abs(weight).max(axis=1, keepdims=True) / 448, dtype)
    return {"weight": to_fp8(weight / scale.floats), "weight_scale": scale}


def float_vector(weight: Floats, dtype: str) -> dict[str, Raw]:
    """The same beside a scale [out], as Quark writes it."""
    return {
        name: Raw(raw.dtype, raw.shape[:1], raw.data) if name == "weight_scale" else raw
        for name, raw in float_quantized(weight, dtype).items()
    }


def fp8_block(weight: Floats, dtype: str, *, scale_name: str = "weight_scale", block: int = 128) -> dict[str, Raw]:
    """FP8 with one scale per block of 128 by 128; short blocks at the edges."""
    rows, columns = (-(-size // block) for size in weight.shape)
    padded = np.zeros((rows * block, columns * block), np.float32)
    padded[: weight.shape[0], : weight.shape[1]] = weight
    tops = np.abs(padded).reshape(rows, block, columns, block).max(axis=(1, 3))
    scale = _scale(tops / 448, dtype)
    full = np.repeat(np.repeat(scale.floats, block, axis=0), block, axis=1)[: weight.shape[0], : weight.shape[1]]
    return {"weight": to_fp8(weight / full), scale_name: scale}


def fp8_tensor(weight: Floats, dtype: str, *, static: bool = False) -> dict[str, Raw]:
    """FP8 with one scale for the whole weight, and one for the activations where they are static."""
    scale = _scale(np.array([np.abs(weight).max() / 448], np.float32), "F32")
    form = {"weight": to_fp8(weight / scale.floats), "weight_scale": scale}
    return form | {"input_scale": scale} if static else form


def modelopt_nvfp4(weight: Floats, dtype: str) -> dict[str, Raw]:
    """Two E2M1 codes to a byte, an FP8 scale per 16 and one of these scales, by ModelOpt's names."""
    rows, columns = weight.shape
    form = {
        "weight": _random_bytes("U8", rows, columns // 2),
        "weight_scale": to_fp8(np.full((rows, columns // 16), 2.0, np.float32)),
    }
    return form | {name: from_numpy(np.array(0.1, np.float32)) for name in ("weight_scale_2", "input_scale")}


def nvfp4_packed(weight: Floats, dtype: str) -> dict[str, Raw]:
    """Two E2M1 codes to a byte, an FP8 scale per 16, one global scale for weights and one for activations."""
    rows, columns = weight.shape
    form = {
        "weight_packed": _random_bytes("U8", rows, columns // 2),
        "weight_scale": to_fp8(np.full((rows, columns // 16), 2.0, np.float32)),
    }
    return form | {
        name: from_numpy(np.array([64.0], np.float32)) for name in ("weight_global_scale", "input_global_scale")
    }


def mxfp4_packed(weight: Floats, dtype: str) -> dict[str, Raw]:
    """Two E2M1 codes to a byte, an exponent per 32."""
    rows, columns = weight.shape
    return {"weight_packed": _random_bytes("U8", rows, columns // 2), "weight_scale": _exponents(rows, columns // 32)}


def mxfp4(weight: Floats, dtype: str) -> dict[str, Raw]:
    """The same by Quark's names."""
    form = mxfp4_packed(weight, dtype)
    return {"weight": form["weight_packed"], "weight_scale": form["weight_scale"]}


def mxfp8(weight: Floats, dtype: str) -> dict[str, Raw]:
    """FP8 codes and an exponent per 32."""
    rows, columns = weight.shape
    return {"weight": to_fp8(weight), "weight_scale": _exponents(rows, columns // 32)}


def gptq(weight: Floats, dtype: str, *, bits: int = 4, group: int | None = 128) -> dict[str, Raw]:
    """The names of GPTQ: transposed, packed along the input; without a group one scale to a row."""
    rows, columns = weight.shape
    group = group or columns
    return {
        "qweight": _random_bytes("I32", columns * bits // 32, rows),
        "qzeros": _random_bytes("I32", columns // group, rows * bits // 32),
        "scales": from_floats(np.full((columns // group, rows), 0.01, np.float32), "F16"),
        "g_idx": from_numpy(np.arange(columns, dtype=np.int32) // group),
    }


def awq(weight: Floats, dtype: str, *, bits: int = 4, group: int = 128) -> dict[str, Raw]:
    """The names of AWQ: transposed, packed along the output."""
    rows, columns = weight.shape
    return {
        "qweight": _random_bytes("I32", columns, rows * bits // 32),
        "qzeros": _random_bytes("I32", columns // group, rows * bits // 32),
        "scales": from_floats(np.full((columns // group, rows), 0.01, np.float32), "F16"),
    }


def bitsandbytes_int8(weight: Floats, dtype: str) -> dict[str, Raw]:
    """LLM.int8() as saved: int8 rows, their largest values, a format mark."""
    tops = _positive(np.abs(weight).max(axis=1))
    codes = np.rint(weight / tops[:, None] * 127).astype(np.int8)
    return {"weight": from_numpy(codes), "SCB": from_numpy(tops), "weight_format": from_numpy(np.array(0, np.uint8))}


def bitsandbytes_nf4(weight: Floats, dtype: str) -> dict[str, Raw]:
    """NF4 as saved: one column of bytes, block maxima and the packed state."""
    return {
        "weight": _random_bytes("U8", weight.size // 2, 1),
        "weight.absmax": from_numpy(np.full(weight.size // 64, 0.1, np.float32)),
        "weight.quant_map": from_numpy(np.linspace(-1, 1, 16, dtype=np.float32)),
        "weight.quant_state.bitsandbytes__nf4": _random_bytes("U8", 82),
    }


def to_fp8(values: Floats) -> Raw:
    """Round to the nearest finite E4M3 value."""
    edges = (E4M3[1:] + E4M3[:-1]) / 2
    codes = np.searchsorted(edges, np.abs(values)).astype(np.uint8) | (np.signbit(values).astype(np.uint8) << 7)
    return Raw("F8_E4M3", values.shape, codes.tobytes())


def _e4m3_magnitudes() -> Floats:
    codes = np.arange(127)  # 0x7F is NaN
    exponent, mantissa = codes >> 3, codes & 7
    normal = (1 + mantissa / 8) * 2.0 ** (exponent - 7)
    return np.where(exponent > 0, normal, mantissa / 8 * 2.0**-6).astype(np.float32)


E4M3: Final = _e4m3_magnitudes()


def _scale(values: Floats, dtype: str) -> Raw:
    """Round up to ``dtype``: a scale that is rounded down would clip the largest weight."""
    values = _positive(values)
    scale = from_floats(values, dtype)
    bits = np.frombuffer(scale.data, {"BF16": "<u2", "F16": "<u2", "F32": "<u4"}[dtype]).reshape(values.shape)
    return Raw(dtype, values.shape, (bits + (scale.floats < values)).astype(bits.dtype).tobytes())


def _positive(scale: Floats) -> Floats:
    return np.maximum(scale, np.float32(1e-12)).astype(np.float32)


def _pack(codes: Ints, bits: int) -> Ints:
    """Offset to unsigned and pack along the last axis, the first code in the lowest bits, zeros after the last."""
    per_word = 32 // bits
    unsigned = (codes + 2 ** (bits - 1)).astype(np.uint32)
    padding = -codes.shape[-1] % per_word
    words = np.pad(unsigned, ((0, 0), (0, padding))).reshape(codes.shape[0], -1, per_word)
    shifts = (np.arange(per_word) * bits).astype(np.uint32)
    packed: Ints = np.bitwise_or.reduce(words << shifts, axis=2).view(np.int32)
    return packed


def _random_bytes(dtype: str, *shape: int) -> Raw:
    size = {"U8": 1, "I32": 4}[dtype]
    return Raw(dtype, shape, np.random.default_rng(shape[0]).bytes(int(np.prod(shape)) * size))


def _exponents(rows: int, columns: int) -> Raw:
    return from_numpy(np.full((rows, columns), 120, np.uint8))
