"""Safetensors files laid out before they are written: the header and every tensor's place follow from dtypes and shapes alone.

The order is the one of the format's own serializer (dtype, then name), so that a file written to this plan equals the one that
``safetensors.torch.save_file`` writes, byte for byte.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ctq.checkpoint.dtypes import DTYPES
from ctq.checkpoint.header import LENGTH_BYTES, MAX_HEADER_BYTES, METADATA
from ctq.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ALIGNMENT = 8
"""The header is padded with spaces to a multiple of this, so that the data of an aligned buffer is aligned too."""


class TensorSpec(NamedTuple):
    """A tensor to be written: name, safetensors dtype and shape."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes; sub-byte dtypes fill whole bytes or are no tensor."""
        bits = prod(self.shape) * DTYPES[self.dtype].bits
        assert bits % 8 == 0, f"{self} ends inside a byte"
        return bits // 8


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file before it is written.

    ``header`` is everything before the data, its eight length bytes included; ``offsets`` maps each tensor, in file order, to
    the first byte of its data and the one after its last, counted from the start of the file; ``nbytes`` is the file's size.
    """

    header: bytes
    offsets: Mapping[str, tuple[int, int]]
    nbytes: int


def plan_file(specs: Iterable[TensorSpec], metadata: Mapping[str, str] | None = None) -> PlannedFile:
    """Lay out one safetensors file.

    Order and padding are those of safetensors 0.8.0 ``tensor.rs`` (``prepare``): largest dtype first, then by name.

    Raises:
        OutputError: the header would be longer than any reader accepts.

    """
    ordered = sorted(specs, key=_file_order)
    assert len({spec.name for spec in ordered}) == len(ordered), "a tensor planned twice"
    entries: dict[str, object] = {} if metadata is None else {METADATA: dict(metadata)}
    places: list[tuple[str, int, int]] = []
    end = 0
    for spec in ordered:
        start, end = end, end + spec.nbytes
        entries[spec.name] = {"dtype": spec.dtype, "shape": spec.shape, "data_offsets": (start, end)}
        places.append((spec.name, start, end))
    header = _header_bytes(entries)
    base = len(header)
    return PlannedFile(header, {name: (base + start, base + stop) for name, start, stop in places}, base + end)


def _file_order(spec: TensorSpec) -> tuple[int, str]:
    return -DTYPES[spec.dtype].rank, spec.name


def _header_bytes(entries: Mapping[str, object]) -> bytes:
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    if len(text) > MAX_HEADER_BYTES:
        raise OutputError(
            f"a header of {len(text)} bytes, more than the {MAX_HEADER_BYTES} that readers accept",
            hint="give a smaller --max-shard-size, so that fewer tensors share a file",
        )
    return len(text).to_bytes(LENGTH_BYTES, "little") + text
