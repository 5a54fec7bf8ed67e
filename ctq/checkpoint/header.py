"""Safetensors headers, read and checked without loading a tensor.

The checks are a ladder, cheapest and most hostile first, as in the format's own Rust reader: a header that passes describes
tensors that lie in the file one after another, without gap or overlap, and end where the file ends. What that reader refuses is
refused here too; two things are refused beyond it, since they leave in doubt what the file holds: a name that has two different
entries, and more brackets than a header can need (a small file that would fill the memory when parsed).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ctq.checkpoint.dtypes import DTYPES
from ctq.checkpoint.strict_json import JsonError, parse_strictly, quoted
from ctq.errors import HeaderError, HeaderFault

if TYPE_CHECKING:
    from collections.abc import Mapping

LENGTH_BYTES = 8
METADATA = "__metadata__"
MAX_HEADER_BYTES = 100_000_000
"""The cap of the safetensors library: a longer header is refused."""
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_MAX_BITS = 1 << 64
_BITS = {name: dtype.bits for name, dtype in DTYPES.items()}


class TensorInfo(NamedTuple):
    """One tensor of a file: its name, dtype, shape and place.

    ``start`` and ``end`` are bytes counted from the first byte after the header.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return self.end - self.start


# The constructor of a NamedTuple is Python; this one is C, and a large checkpoint calls it 90,000 times.
_tensor_info = partial(tuple.__new__, TensorInfo)
_place = itemgetter(TensorInfo._fields.index("start"), TensorInfo._fields.index("end"))


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one safetensors file.

    ``data_start`` is the file offset of the first tensor byte. ``repeated`` are names whose entry stands there twice, the same.
    """

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    data_start: int
    file_size: int
    repeated: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of tensor data; a checked header covers all of the file."""
        return self.file_size - self.data_start


def header_length(prefix: bytes, file_size: int, *, file: str) -> int:
    """Return the length of the JSON header in bytes, from the first eight bytes of the file.

    Raises:
        HeaderError: the file is too small, or the length cannot be true.

    """
    if file_size < LENGTH_BYTES or len(prefix) < LENGTH_BYTES:
        raise HeaderError(HeaderFault.FILE_TOO_SMALL, f"only {file_size} bytes, no safetensors header", file=file)
    length = int.from_bytes(prefix[:LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise HeaderError(HeaderFault.HEADER_TOO_LARGE, _no_length(prefix[:LENGTH_BYTES]), file=file)
    if LENGTH_BYTES + length > file_size:
        raise HeaderError(
            HeaderFault.HEADER_BEYOND_FILE, f"claims a header of {length} bytes in a file of {file_size}", file=file
        )
    return length


def _no_length(first: bytes) -> str:
    """Say what eight bytes are that hold no length: often text, of a pointer that was never resolved or of an error page."""
    if first == _LFS_POINTER[:LENGTH_BYTES]:
        return "a pointer of Git LFS, not the file that it stands for; `git lfs pull` fetches it"
    if first.isascii() and first.decode("ascii").strip().isprintable():
        return f"starts with the text {quoted(first.decode('ascii'))}, not with the length of a header"
    return f"claims a header of {int.from_bytes(first, 'little')} bytes, more than {MAX_HEADER_BYTES}"


def parse_header(raw: bytes, file_size: int, *, file: str) -> Header:
    """Parse the JSON header ``raw`` (without its eight length bytes) of a file of ``file_size`` bytes.

    Raises:
        HeaderError: with the first rung of the ladder that does not hold.

    """
    entries, repeated = _json_object(raw, file)
    metadata = _metadata(entries.pop(METADATA, None), file)
    data_start = LENGTH_BYTES + len(raw)
    tensors = {name: _tensor(name, entry, file) for name, entry in entries.items()}
    _check_layout(tensors, file_size - data_start, file)
    return Header(tensors, metadata, data_start, file_size, repeated)


def _json_object(raw: bytes, file: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    try:
        entries, repeated = parse_strictly(raw)
    except JsonError as error:
        raise HeaderError(error.fault, f"header: {error}", file=file) from error
    if METADATA in repeated:
        raise HeaderError(HeaderFault.DUPLICATE_KEY, f"header: has {quoted(METADATA)} twice", file=file)
    if not isinstance(entries, dict):
        raise HeaderError(HeaderFault.NOT_A_HEADER, "header is not a JSON object", file=file)
    return entries, repeated


def _metadata(value: object, file: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise HeaderError(HeaderFault.NOT_A_HEADER, "__metadata__ is not a map of strings", file=file)
    return value


def _tensor(name: str, entry: Any, file: str) -> TensorInfo:  # noqa: ANN401  # untrusted JSON
    try:
        dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        bits = _BITS[dtype]
    except (KeyError, TypeError, ValueError) as error:
        raise _bad_entry(name, entry, file) from error
    if type(shape) is not list or type(start) is not int or type(end) is not int or not 0 <= start <= end:
        raise _bad_entry(name, entry, file)
    for size in shape:
        if type(size) is not int or size < 0:
            raise _bad_entry(name, entry, file)
        bits *= size
        if bits >= _MAX_BITS or size >= _MAX_BITS:
            message = f"tensor {quoted(name)} has a shape beyond any file"
            raise HeaderError(HeaderFault.SHAPE_OVERFLOW, message, file=file, tensor=name)
    if bits != (end - start) * 8:
        message = (
            f"tensor {quoted(name)} needs {bits / 8:.15g} bytes as {dtype} {shape[:8]}, its offsets hold {end - start}"
        )
        raise HeaderError(HeaderFault.SIZE_MISMATCH, message, file=file, tensor=name)
    return _tensor_info((name, dtype, tuple(shape), start, end))


def _bad_entry(name: str, entry: Any, file: str) -> HeaderError:  # noqa: ANN401  # untrusted JSON
    dtype = entry.get("dtype") if isinstance(entry, dict) else None
    if isinstance(dtype, str) and dtype not in _BITS:
        message = f"tensor {quoted(name)} has the unknown dtype {quoted(dtype)}"
        return HeaderError(HeaderFault.UNKNOWN_DTYPE, message, file=file, tensor=name)
    message = f"tensor {quoted(name)} has no usable dtype, shape and data_offsets"
    return HeaderError(HeaderFault.BAD_ENTRY, message, file=file, tensor=name)


def _check_layout(tensors: Mapping[str, TensorInfo], available: int, file: str) -> None:
    expected = 0
    for tensor in sorted(tensors.values(), key=_place):
        if tensor.start != expected:
            fault = HeaderFault.OFFSETS_OVERLAP if tensor.start < expected else HeaderFault.OFFSETS_GAP
            message = f"tensor {quoted(tensor.name)} starts at byte {tensor.start}, expected {expected}"
            raise HeaderError(fault, message, file=file, tensor=tensor.name)
        expected = tensor.end
    if expected > available:
        missing = expected - available
        raise HeaderError(HeaderFault.TRUNCATED, f"truncated: {missing} bytes of tensor data are missing", file=file)
    if expected < available:
        message = f"{available - expected} bytes follow the last tensor"
        raise HeaderError(HeaderFault.TRAILING_BYTES, message, file=file)
