"""Read safetensors files with the standard library: headers for the dry load, single tensors for the head."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "U16": torch.uint16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "I64": torch.int64,
    "U64": torch.uint64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
    "C64": torch.complex64,
}


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: where its bytes are and what they mean."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    file: Path
    start: int
    nbytes: int


def natural_order(path: str) -> list[int | str]:
    """Sort shards as the engine does: numbers by value (vLLM 0.32.0 weight_utils.py)."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path)]


def read_header(file: Path) -> Iterator[Entry]:
    """Yield the tensors of one file in the order of its header."""
    with file.open("rb") as stream:
        (length,) = struct.unpack("<Q", stream.read(8))
        header = json.loads(stream.read(length))
    for name, value in header.items():
        if name == "__metadata__":
            continue
        start, end = value["data_offsets"]
        yield Entry(name, DTYPES[value["dtype"]], tuple(value["shape"]), file, 8 + length + start, end - start)


def read_headers(files: Iterable[str]) -> Iterator[Entry]:
    """Yield the tensors of several files, shard by shard."""
    for file in sorted(files, key=natural_order):
        yield from read_header(Path(file))


def read_tensor(entry: Entry) -> torch.Tensor:
    """Read one tensor's bytes into memory of its own."""
    data = bytearray(entry.nbytes)
    with entry.file.open("rb") as stream:
        stream.seek(entry.start)
        stream.readinto(data)
    if entry.nbytes == 0:
        return torch.empty(entry.shape, dtype=entry.dtype)
    return torch.frombuffer(data, dtype=entry.dtype).reshape(entry.shape)
