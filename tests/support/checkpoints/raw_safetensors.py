"""Safetensors files from plain bytes: written, read and deliberately falsified without any library.

Kept apart from ctq's own reader and writer, so that a mistake there is not repeated here.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

Header: TypeAlias = dict[str, Any]
ITEM_BITS: Final[Mapping[str, int]] = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8, "F4": 4,
}  # fmt: skip
_CODES: Final = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "int8": "I8",
    "uint8": "U8",
}


@dataclass(frozen=True, slots=True)
class Raw:
    """One tensor as it lies in a file: dtype code, shape and little-endian bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def floats(self) -> npt.NDArray[np.float32]:
        """Values of a BF16, F16 or F32 tensor as float32."""
        if self.dtype == "BF16":
            wide = np.frombuffer(self.data, "<u2").astype("<u4") << 16
            return wide.view("<f4").reshape(self.shape)
        kind = {"F16": "<f2", "F32": "<f4"}[self.dtype]
        return np.frombuffer(self.data, kind).astype(np.float32).reshape(self.shape)


def from_numpy(array: npt.NDArray[Any]) -> Raw:
    """Take an array as a tensor of its own dtype."""
    return Raw(_CODES[array.dtype.name], array.shape, np.ascontiguousarray(array).tobytes())


def from_floats(values: npt.NDArray[np.float32], dtype: str) -> Raw:
    """Round float32 values to ``dtype`` (BF16 to nearest even, F16, F32)."""
    if dtype == "BF16":
        bits = np.ascontiguousarray(values, "<f4").view("<u4").astype(np.uint64)
        rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return Raw("BF16", values.shape, rounded.astype("<u2").tobytes())
    return from_numpy(values.astype({"F16": np.float16, "F32": np.float32}[dtype]))


def write_safetensors(path: Path, tensors: Mapping[str, Raw], *, metadata: Mapping[str, str] | None = None) -> None:
    """Write one file in the library's order: wider dtypes first, then by name."""
    order = sorted(tensors, key=lambda name: (-ITEM_BITS[tensors[name].dtype], name))
    header: Header = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name in order:
        tensor = tensors[name]
        end = offset + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    write_file(path, header, b"".join(tensors[name].data for name in order))


def write_file(path: Path, header: Header | bytes, data: bytes) -> None:
    """Write a header, true or false (raw bytes are taken as they are), and the data after it."""
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def read_file(path: Path) -> tuple[Header, bytes]:
    """Return the header as written and the bytes after it."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def read_safetensors(path: Path) -> dict[str, Raw]:
    """Return every tensor of one file."""
    header, data = read_file(path)
    header.pop("__metadata__", None)
    return {
        name: Raw(entry["dtype"], tuple(entry["shape"]), data[slice(*entry["data_offsets"])])
        for name, entry in header.items()
    }


def edit_header(path: Path, change: Callable[[Header], object]) -> None:
    """Change the header in place and leave the data as it is, so that the file may lie."""
    header, data = read_file(path)
    change(header)
    write_file(path, header, data)
