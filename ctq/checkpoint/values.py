"""The values of raw tensor data, with numpy: import it where values are looked at, which headers do not need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RAW_TYPES: dict[str, type[np.generic]] = {
    "BF16": np.uint16,
    "F16": np.uint16,
    "F32": np.uint32,
    "I8": np.int8,
    "I32": np.int32,
    "F8_E4M3": np.uint8,
}
"""The numpy types under which raw data is read; floats are bits."""


def decode(data: bytes, dtype: str) -> NDArray[np.float32] | None:
    """Return a tensor's values as float32 (E8M0 exponents as powers of two), None for dtypes that are no floats."""
    if dtype in ("BF16", "F16", "F32"):
        return floats(np.frombuffer(data, RAW_TYPES[dtype]), dtype)
    if dtype == "F64":
        return np.frombuffer(data, np.float64).astype(np.float32)
    codes = np.frombuffer(data, np.uint8)
    if dtype == "F8_E4M3":
        return e4m3(codes)
    return e8m0(codes) if dtype in ("U8", "F8_E8M0") else None


def floats(raw: NDArray[Any], dtype: str) -> NDArray[np.float32]:
    """Return the float32 values of raw bits of BF16, F16 or F32."""
    if dtype == "BF16":
        return (raw.astype(np.uint32) << 16).view(np.float32)
    if dtype == "F16":
        return raw.view(np.float16).astype(np.float32)
    return raw.view(np.float32)


def e4m3(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the values of E4M3 bytes; 0x7F and 0xFF are NaN."""
    exponent, mantissa = (codes >> 3) & 15, (codes & 7).astype(np.float32)
    values = np.where(
        exponent > 0, (1 + mantissa / 8) * np.exp2(exponent.astype(np.float32) - 7), mantissa / 8 * 2.0**-6
    )
    values = np.where((codes & 0x7F) == 0x7F, np.float32(np.nan), values)
    return np.where(codes & 0x80, -values, values).astype(np.float32)


def e8m0(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the values of E8M0 bytes, powers of two; 255 is NaN, and would overflow."""
    powers = np.exp2(np.minimum(codes, 254).astype(np.float32) - 127)
    return np.where(codes == 255, np.float32(np.nan), powers)
