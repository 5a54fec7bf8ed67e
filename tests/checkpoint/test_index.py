"""The index: what is taken, what is refused, and that what is written is what the hub's library writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ctq.checkpoint.index import Index, index_json, parse_index
from ctq.errors import CheckpointError


def raw(weight_map: Any, **metadata: Any) -> bytes:
    return json.dumps({"metadata": metadata, "weight_map": weight_map}).encode()


def test_maps_tensors_to_files() -> None:
    index = parse_index(raw({"a": "x.safetensors", "b": "sub/y.safetensors"}, total_size=7))
    assert index == Index({"a": "x.safetensors", "b": "sub/y.safetensors"}, 7)


@pytest.mark.parametrize(
    ("total", "read"), [(7.0, 7), (7.5, None), ("7", None), (True, None), (None, None), ([], None)]
)
def test_total_size_is_a_whole_number_or_not_there(total: Any, read: int | None) -> None:
    assert parse_index(raw({}, total_size=total)).total_size == read


def test_metadata_may_be_missing() -> None:
    assert parse_index(b'{"weight_map": {}}').total_size is None
    assert parse_index(b'{"weight_map": {}, "metadata": [1e999]}').total_size is None
    assert parse_index(b'{"weight_map": {}, "metadata": {"total_size": 1e999}}').total_size is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "no weight_map"),
        (b"{}", "no weight_map"),
        (raw([]), "no weight_map"),
        (raw({"a": 1}), "no weight_map"),
        (raw({"a": None}), "no weight_map"),
        (b'{"weight_map": {"a": "x", "a": "y"}}', "has 'a' twice"),
        (b'{"weight_map": {"\\ud800": "x"}}', "not JSON"),
        (b'{"weight_map":' + b"[" * 1_000_000, "more brackets"),
        (raw({"a": ""}), "leaves the folder, or is no file name"),
        (raw({"a": "/etc/passwd"}), "'/etc/passwd' leaves the folder"),
        (raw({"a": "../x.safetensors"}), "'../x.safetensors' leaves the folder"),
        (raw({"a": "sub/../../x"}), "leaves the folder"),
        (raw({"a": "..\\x"}), "leaves the folder"),
        (raw({"a": "x\0"}), "leaves the folder"),
        (raw({"a": "/" + "x" * 9000}), "leaves the folder"),
    ],
)
def test_refused_in_one_line(content: bytes, words: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        parse_index(content)
    assert words in refusal.value.message
    assert refusal.value.message.startswith("model.safetensors.index.json: ")
    assert "\n" not in refusal.value.message
    assert len(refusal.value.message) < 400


def test_of_several_entries_that_leave_the_folder_the_first_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"'\.\./0\.safetensors' leaves the folder"):
        parse_index(raw({f"w{n}": f"../{n}.safetensors" for n in range(20)}))


def test_written_as_it_is_read() -> None:
    content = index_json({"b": "2.safetensors", "a": "1.safetensors"}, 12)
    assert parse_index(content) == Index({"a": "1.safetensors", "b": "2.safetensors"}, 12)
    assert list(json.loads(content)["weight_map"]) == ["a", "b"]
