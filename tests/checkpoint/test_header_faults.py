"""One file per cause of refusal, each named by it, and what the library makes of the same bytes."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
import safetensors

from ctq.checkpoint.source import LocalFolder
from ctq.checkpoint.weights import read_header
from ctq.errors import HeaderError
from ctq.errors import HeaderFault as Fault

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
LATER = GOOD | {"data_offsets": [24, 40]}
UNUSABLE = "'w' has no usable dtype, shape and data_offsets"


def packed(header: object, nbytes: int = 0) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(nbytes)


def one(nbytes: int = 16, **changes: Any) -> bytes:
    return packed({"w": GOOD | changes}, nbytes)


def twice(first: object, second: object) -> bytes:
    return packed(b'{"w":%b,"w":%b}' % (json.dumps(first).encode(), json.dumps(second).encode()), 16)


def fault_of(tmp_path: Path, content: bytes) -> HeaderError:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(HeaderError) as refusal:
        read_header(LocalFolder(tmp_path), "model.safetensors")
    assert refusal.value.file == "model.safetensors"
    assert str(refusal.value).startswith("model.safetensors: ")
    assert "\n" not in str(refusal.value)
    assert len(str(refusal.value)) < 600
    return refusal.value


_LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"

REFUSED_BY_ALL: list[tuple[str, Fault, bytes, str]] = [
    ("empty", Fault.FILE_TOO_SMALL, b"", "only 0 bytes"),
    ("seven bytes", Fault.FILE_TOO_SMALL, b"\x02\0\0\0\0\0\0", "only 7 bytes"),
    ("length beyond the cap", Fault.HEADER_TOO_LARGE, struct.pack("<Q", 100_000_001) + b"{}", "100000001 bytes"),
    ("pointer of Git LFS", Fault.HEADER_TOO_LARGE, _LFS, "`git lfs pull`"),
    ("page of an error", Fault.HEADER_TOO_LARGE, b"<!DOCTYPE html>", "the text '<!DOCTYP'"),
    ("length of all ones", Fault.HEADER_TOO_LARGE, b"\xff" * 64, "18446744073709551615 bytes"),
    ("length beyond the file", Fault.HEADER_BEYOND_FILE, struct.pack("<Q", 9) + b"{}      ", "9 bytes in a file of 16"),
    ("latin-1", Fault.NOT_UTF8, packed(b'{"\xe9":1}'), "not UTF-8 at byte 2"),
    ("overlong slash", Fault.NOT_UTF8, packed(b'{"\xc0\xaf":1}'), "not UTF-8 at byte 2"),
    ("encoded surrogate", Fault.NOT_UTF8, packed(b'{"\xed\xa0\x80":1}'), "not UTF-8 at byte 2"),
    ("no text", Fault.NOT_JSON, packed(b""), "not JSON"),
    ("cut off", Fault.NOT_JSON, packed(b'{"w":{"dtype":"F32"'), "not JSON"),
    ("two values", Fault.NOT_JSON, packed(b"{} {}"), "not JSON"),
    ("byte order mark", Fault.NOT_JSON, packed(b"\xef\xbb\xbf{}"), "not JSON"),
    ("control character", Fault.NOT_JSON, packed(b'{"a\nb":1}'), "not JSON"),
    ("NaN", Fault.NOT_JSON, packed(b'{"w":NaN}'), "NaN"),
    ("minus infinity", Fault.NOT_JSON, packed(b'{"w":[-Infinity]}'), "-Infinity"),
    ("half of a surrogate pair", Fault.NOT_JSON, packed(rb'{"__metadata__":{"\ud800":"x"}}'), "surrogates"),
    ("nested without end", Fault.NOT_A_HEADER, packed(b'{"w":' * 250_000), "more brackets"),
    ("nested deeply", Fault.NOT_JSON, packed(b'{"w":' + b"[" * 200_000 + b" " * 3_000_000 + b"}"), "recursion"),
    ("a list", Fault.NOT_A_HEADER, packed(b"[1]"), "not a JSON object"),
    ("metadata is a list", Fault.NOT_A_HEADER, packed({"__metadata__": ["x"]}), "__metadata__"),
    ("metadata holds a number", Fault.NOT_A_HEADER, packed({"__metadata__": {"x": 1}}), "__metadata__"),
    ("entry is null", Fault.BAD_ENTRY, packed({"w": None}), UNUSABLE),
    ("entry is a number", Fault.BAD_ENTRY, packed({"w": 1}), UNUSABLE),
    ("entry is text", Fault.BAD_ENTRY, packed({"w": "dtype"}), UNUSABLE),
    ("no dtype", Fault.BAD_ENTRY, packed({"w": {"shape": [], "data_offsets": [0, 0]}}), UNUSABLE),
    ("no shape", Fault.BAD_ENTRY, packed({"w": {"dtype": "F32", "data_offsets": [0, 4]}}, 4), UNUSABLE),
    ("no offsets", Fault.BAD_ENTRY, packed({"w": {"dtype": "F32", "shape": [0]}}), UNUSABLE),
    ("dtype is a list", Fault.BAD_ENTRY, one(dtype=["F32"]), UNUSABLE),
    ("shape is a number", Fault.BAD_ENTRY, one(shape=4), UNUSABLE),
    ("shape is text", Fault.BAD_ENTRY, one(shape="22"), UNUSABLE),
    ("shape is an object", Fault.BAD_ENTRY, one(4, shape={}), UNUSABLE),
    ("negative sizes", Fault.BAD_ENTRY, one(shape=[-2, -2]), UNUSABLE),
    ("sizes with a fraction", Fault.BAD_ENTRY, one(shape=[2.0, 2]), UNUSABLE),
    ("a size that is true", Fault.BAD_ENTRY, one(shape=[True, 4]), UNUSABLE),
    ("one offset", Fault.BAD_ENTRY, one(data_offsets=[16]), UNUSABLE),
    ("three offsets", Fault.BAD_ENTRY, one(data_offsets=[0, 16, 16]), UNUSABLE),
    ("offsets are text", Fault.BAD_ENTRY, one(data_offsets="ab"), UNUSABLE),
    ("offsets are true", Fault.BAD_ENTRY, one(1, shape=[], dtype="U8", data_offsets=[False, True]), UNUSABLE),
    ("offsets backwards", Fault.BAD_ENTRY, one(data_offsets=[16, 0]), UNUSABLE),
    ("negative offset", Fault.BAD_ENTRY, one(data_offsets=[-16, 0]), UNUSABLE),
    ("unknown dtype", Fault.UNKNOWN_DTYPE, one(dtype="Q4_K"), "unknown dtype 'Q4_K'"),
    ("dtype of another case", Fault.UNKNOWN_DTYPE, one(dtype="f32"), "unknown dtype 'f32'"),
    ("shape overflows", Fault.SHAPE_OVERFLOW, one(shape=[2**40, 2**40]), "beyond any file"),
    ("shape wraps around to zero", Fault.SHAPE_OVERFLOW, one(0, shape=[2**32, 2**32], data_offsets=[0, 0]), "beyond any file"),
    ("giant size beside zero", Fault.SHAPE_OVERFLOW, one(0, shape=[0, 10**40], data_offsets=[0, 0]), "beyond any file"),
    ("giant offset", Fault.SIZE_MISMATCH, one(data_offsets=[0, 10**30]), "its offsets hold 1000000000"),
    ("too few bytes", Fault.SIZE_MISMATCH, one(12, data_offsets=[0, 12]), "needs 16 bytes as F32 [2, 2], its offsets hold 12"),
    ("half a byte", Fault.SIZE_MISMATCH, one(2, dtype="F4", shape=[3], data_offsets=[0, 2]), "needs 1.5 bytes"),
    ("same bytes twice", Fault.OFFSETS_OVERLAP, packed({"a": GOOD, "b": GOOD}, 16), "'b' starts at byte 0, expected 16"),
    ("hole at the start", Fault.OFFSETS_GAP, one(24, data_offsets=[8, 24]), "'w' starts at byte 8, expected 0"),
    ("hole in between", Fault.OFFSETS_GAP, packed({"a": GOOD, "b": LATER}, 40), "'b' starts at byte 24, expected 16"),
    ("truncated", Fault.TRUNCATED, one(15), "1 bytes of tensor data are missing"),
    ("trailing bytes", Fault.TRAILING_BYTES, one(20), "4 bytes follow the last tensor"),
    ("metadata twice", Fault.DUPLICATE_KEY, packed(b'{"__metadata__":{},"__metadata__":{}}'), "has '__metadata__' twice"),
    ("dtype twice", Fault.DUPLICATE_KEY, packed(b'{"w":{"dtype":"F32","dtype":"F32","shape":[0],"data_offsets":[0,0]}}'), "has 'dtype' twice"),
    ("data without tensors", Fault.TRAILING_BYTES, packed({}, 1), "1 bytes follow"),
]  # fmt: skip

REFUSED_HERE_ALONE: list[tuple[str, Fault, bytes, str]] = [
    ("tensor twice, garbage first", Fault.DUPLICATE_KEY, twice(GOOD | {"data_offsets": [4, 20]}, GOOD), "has 'w' twice"),
    ("metadata key twice", Fault.DUPLICATE_KEY, packed(b'{"__metadata__":{"format":"pt","format":"tf"}}'), "has 'format' twice"),
]  # fmt: skip


def ids(rows: list[tuple[str, Fault, bytes, str]]) -> list[str]:
    return [f"{fault}: {what}" for what, fault, _, _ in rows]


@pytest.mark.parametrize(("what", "fault", "content", "words"), REFUSED_BY_ALL, ids=ids(REFUSED_BY_ALL))
def test_refused_here_and_by_the_library(tmp_path: Path, what: str, fault: Fault, content: bytes, words: str) -> None:
    error = fault_of(tmp_path, content)
    assert (error.fault, words in str(error)) == (fault, True), str(error)
    with pytest.raises(Exception, match=r".+"):  # its errors share no class
        safetensors.safe_open(tmp_path / "model.safetensors", "np").__enter__()


@pytest.mark.parametrize(("what", "fault", "content", "words"), REFUSED_HERE_ALONE, ids=ids(REFUSED_HERE_ALONE))
def test_refused_here_though_the_library_takes_one_of_two(
    tmp_path: Path, what: str, fault: Fault, content: bytes, words: str
) -> None:
    error = fault_of(tmp_path, content)
    assert (error.fault, words in str(error)) == (fault, True), str(error)


def test_every_cause_has_a_file() -> None:
    assert {row[1] for row in REFUSED_BY_ALL + REFUSED_HERE_ALONE} == set(Fault)


def test_names_are_escaped_and_shortened_in_messages(tmp_path: Path) -> None:
    name = "\x1b[31m\n" + "n" * 5000
    error = fault_of(tmp_path, packed({name: GOOD | {"dtype": "x" * 5000}}, 16))
    assert error.tensor == name
    assert "\x1b" not in str(error)


def test_an_entry_that_says_the_same_twice_is_read_and_named(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(twice(GOOD, GOOD))
    read = read_header(LocalFolder(tmp_path), "model.safetensors")
    assert (list(read.tensors), read.repeated) == (["w"], ("w",))
    with safetensors.safe_open(tmp_path / "model.safetensors", "np") as file:
        assert list(file.keys()) == ["w"]


def test_colons_in_names_and_extra_keys_are_no_duplicates(tmp_path: Path) -> None:
    header = {"__metadata__": {"a:b": "c:d"}, "re:w": GOOD | {"note": {"x": [1, 2.5, None]}}}
    (tmp_path / "model.safetensors").write_bytes(packed(header, 16))
    read = read_header(LocalFolder(tmp_path), "model.safetensors")
    assert list(read.tensors) == ["re:w"]
    assert read.metadata == {"a:b": "c:d"}


def test_null_metadata_is_none_at_all(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(packed({"__metadata__": None, "w": GOOD}, 16))
    assert read_header(LocalFolder(tmp_path), "model.safetensors").metadata == {}


@pytest.mark.parametrize("guess", [8, 9, 40, 200, 100_000])
def test_header_longer_than_the_first_read(tmp_path: Path, guess: int) -> None:
    content = packed({"w": GOOD, "__metadata__": {"x": "é" * 300}}, 16)
    (tmp_path / "model.safetensors").write_bytes(content)
    header = read_header(LocalFolder(tmp_path), "model.safetensors", guess=guess)
    assert header.metadata == {"x": "é" * 300}
    assert header.nbytes == 16
