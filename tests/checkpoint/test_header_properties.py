"""Whatever the library writes is read the same; whatever is then done to the bytes, both take it or both refuse it."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ctq.checkpoint.header import Header, header_length, parse_header
from ctq.errors import HeaderError
from ctq.errors import HeaderFault as Fault

DTYPES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "uint16",
    "float16",
    "int32",
    "uint32",
    "float32",
    "complex64",
    "int64",
    "float64",
]
STRICTER_HERE = {Fault.DUPLICATE_KEY, Fault.NOT_A_HEADER, Fault.SHAPE_OVERFLOW}
"""A name twice, more brackets than tensors need, a shape that overflows before it meets a zero: the library lets these pass."""

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__")
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
arrays = st.dictionaries(names, st.tuples(st.sampled_from(DTYPES), shapes), min_size=1, max_size=5)
metadata = st.none() | st.dictionaries(names, names, max_size=3)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**70)
    | st.floats(-1e9, 1e9)
    | st.sampled_from(["F32", "BF16", "I8", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
)


def saved(tensors: dict[str, tuple[str, tuple[int, ...]]], texts: dict[str, str] | None) -> bytes:
    return safetensors.numpy.save(
        {name: np.zeros(shape, dtype) for name, (dtype, shape) in tensors.items()}, metadata=texts
    )


def read(content: bytes) -> Header | HeaderError:
    try:
        length = header_length(content[:8], len(content), file="x")
        return parse_header(content[8 : 8 + length], len(content), file="x")
    except HeaderError as error:
        return error


def library_reads(content: bytes) -> dict[str, tuple[str, tuple[int, ...], int]] | None:
    try:
        found = safetensors.deserialize(content)
    except safetensors.SafetensorError:
        return None
    return {name: (view["dtype"], tuple(view["shape"]), len(view["data"])) for name, view in found}


def check_agreement(content: bytes) -> None:
    ours, theirs = read(content), library_reads(content)
    if isinstance(ours, Header):
        assert {name: (info.dtype, info.shape, info.nbytes) for name, info in ours.tensors.items()} == theirs
        assert ours.nbytes == sum(info.nbytes for info in ours.tensors.values())
    else:
        assert theirs is None or ours.fault in STRICTER_HERE, ours


@given(tensors=arrays, texts=metadata)
def test_reads_what_the_library_writes(
    tensors: dict[str, tuple[str, tuple[int, ...]]], texts: dict[str, str] | None
) -> None:
    content = saved(tensors, texts)
    header = read(content)
    assert isinstance(header, Header)
    assert header.metadata == (texts or {})
    assert header.tensors.keys() == tensors.keys()
    check_agreement(content)


@given(tensors=arrays, texts=metadata, data=st.data())
def test_agrees_with_the_library_on_damaged_bytes(
    tensors: dict[str, tuple[str, tuple[int, ...]]], texts: dict[str, str] | None, data: st.DataObject
) -> None:
    content = bytearray(saved(tensors, texts))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 6)))
        content[start:stop] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"0", b"}", b"]", b",", b"9", b"-", b" "])
        )
    assume(b"-0" not in content)  # an integer in Python's JSON, a float in serde's
    check_agreement(bytes(content))


@given(tensors=arrays, data=st.data())
@example(tensors={"a": ("float32", (2,)), "b": ("int8", (0,))}, data=None)
def test_agrees_with_the_library_on_headers_that_lie(
    tensors: dict[str, tuple[str, tuple[int, ...]]], data: st.DataObject | None
) -> None:
    content = saved(tensors, None)
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    if data is not None:
        name = data.draw(st.sampled_from(sorted(header)))
        key = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "more", None]))
        value = data.draw(json_values | st.lists(st.integers(0, 9), max_size=3))
        if key is None:
            header[name] = value
        else:
            header[name][key] = value
        # Rust's reader takes an entry without its keys, as a list of three; no writer makes one, so it is refused here.
        assume(not (key is None and isinstance(value, list)))
    text = json.dumps(header, ensure_ascii=False).encode()
    check_agreement(struct.pack("<Q", len(text)) + text + content[8 + length :])
