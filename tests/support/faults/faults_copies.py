"""Faults of files and index as copying, uploading and conversion scripts leave them."""

from __future__ import annotations

import gzip
import json
import shutil
from typing import TYPE_CHECKING, Any, Final

from builders import INDEX
from fault import Fault
from faults_files import duplicate, edit_config_text, files, index, last_shard, several, shards, some_tensor
from faults_model import none
from raw_safetensors import edit_header, read_file, write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _first(folder: Path) -> Path:
    return shards(folder)[0]


def _header_text(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        header, data = read_file(last_shard(folder))
        write_file(last_shard(folder), change(json.dumps(header, separators=(",", ":")).encode()), data)

    return run


def _entries(header: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry for name, entry in header.items() if name != "__metadata__"]


def _shift(header: dict[str, Any]) -> None:
    for entry in _entries(header):
        entry["data_offsets"] = [offset + 8 for offset in entry["data_offsets"]]


def _last_entry(header: dict[str, Any]) -> dict[str, Any]:
    return max(_entries(header), key=lambda entry: entry["data_offsets"][1])


def _duplicate_name(text: bytes) -> bytes:
    name, entry = next((name, entry) for name, entry in json.loads(text).items() if name != "__metadata__")
    again = json.dumps({name: entry}, separators=(",", ":")).encode()[1:-1]
    return text[:-1] + b"," + again + b"}"


def _twice_but_different(folder: Path) -> None:
    """Put a tensor of the first file into the last one with other values."""
    duplicate(folder, lambda data: data[::-1])


def _twice_of_another_shape(folder: Path) -> None:
    """Leave an older tensor of another shape in the last file."""
    first, last = several(folder)[0], several(folder)[-1]
    header, _ = read_file(first)
    other, rest = read_file(last)
    name = next(name for name in header if name.endswith("weight"))
    other[name] = {"dtype": "BF16", "shape": [2, 2], "data_offsets": [len(rest), len(rest) + 8]}
    write_file(last, other, rest + b"\0" * 8)


def _other_set_beside(folder: Path) -> None:
    """Leave the shards of an earlier run, cut otherwise, beside those of the index."""
    for number, path in enumerate(several(folder)):
        shutil.copy(path, folder / f"model-{number + 1:05d}-of-00009.safetensors")


def _without_file_of(words: str) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        found = [name for name in value["weight_map"] if words in name] or none(f"no {words}")
        for name in found:
            del value["weight_map"][name]

    return change


def _other_names(value: dict[str, Any]) -> None:
    value["weight_map"] = {f"model.{name}": file for name, file in value["weight_map"].items()}


def _config_bytes(change: Callable[[str], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / "config.json").write_bytes(change((folder / "config.json").read_text()))


def _link_gone(folder: Path) -> None:
    path = last_shard(folder)
    path.unlink()
    path.symlink_to(folder / "blobs" / "0123")


def _folder_instead(folder: Path) -> None:
    path = last_shard(folder)
    path.unlink()
    path.mkdir()


def _moved_down(folder: Path) -> None:
    (folder / "weights").mkdir()
    for path in shards(folder):
        path.rename(folder / "weights" / path.name)


def _suffix(new: str) -> Callable[[Path], None]:
    return lambda folder: last_shard(folder).rename(last_shard(folder).with_name(last_shard(folder).name + new))  # type: ignore[func-returns-value]


COPY_INDEX_FAULTS: Final[tuple[Fault, ...]] = (
    index("index-lacks-head", _without_file_of("lm_head")),
    index("index-names-prefixed", _other_names),
    index("index-absolute", lambda value: value["weight_map"].update({some_tensor(value): "/tmp/model.safetensors"})),
    index("index-folder", lambda value: value["weight_map"].update({name: f"weights/{file}" for name, file in value["weight_map"].items()})),
    index("index-map-list", lambda value: value.update(weight_map=list(value["weight_map"].items()))),
    index("index-file-number", lambda value: value["weight_map"].update({some_tensor(value): 3})),
    index("index-file-null", lambda value: value["weight_map"].update({some_tensor(value): None})),
    index("index-of-pickles", lambda value: value.update(weight_map={name: file.replace("model-", "pytorch_model-").replace(".safetensors", ".bin") for name, file in value["weight_map"].items()})),
    index("index-all-in-first", lambda value: value.update(weight_map=dict.fromkeys(value["weight_map"], min(value["weight_map"].values())))),
    index("index-rotated", lambda value: value.update(weight_map=dict(zip(value["weight_map"], [*list(value["weight_map"].values())[40:], *list(value["weight_map"].values())[:40]], strict=True)))),
    index("index-total-text", lambda value: value["metadata"].update(total_size="large")),
    index("index-metadata-null", lambda value: value.update(metadata=None)),
    Fault("index-list", "index", lambda folder: (folder / INDEX).write_text("[]")),
    Fault("index-null", "index", lambda folder: (folder / INDEX).write_text("null")),
    Fault("index-byte-order-mark", "index", lambda folder: (folder / INDEX).write_text("\ufeff" + (folder / INDEX).read_text())),
    Fault("index-is-pointer", "index", lambda folder: (folder / INDEX).write_text("version https://git-lfs.github.com/spec/v1\n")),
    Fault("index-renamed", "index", lambda folder: (folder / INDEX).rename(folder / "model.safetensors.index.json.bak")),
    Fault("index-of-consolidated", "index", lambda folder: shutil.copy(folder / INDEX, folder / "consolidated.safetensors.index.json")),
    Fault("index-second", "index", lambda folder: (folder / "model.safetensors.index.fp32.json").write_text("{}")),
)  # fmt: skip

COPY_FILE_FAULTS: Final[tuple[Fault, ...]] = (
    files("first-truncated", lambda folder: _first(folder).write_bytes(_first(folder).read_bytes()[:-7])),
    files("first-empty", lambda folder: _first(folder).write_bytes(b"")),
    files("first-gone", lambda folder: several(folder)[0].unlink()),
    files("eight-bytes-left", lambda folder: last_shard(folder).write_bytes(last_shard(folder).read_bytes()[:8])),
    files("one-byte-appended", lambda folder: last_shard(folder).write_bytes(last_shard(folder).read_bytes() + b"\n")),
    files("header-padded", _header_text(lambda text: text + b" " * 512)),
    files("header-padded-with-zeros", _header_text(lambda text: text + b"\0" * 8)),
    files("header-padded-before", _header_text(lambda text: b" " * 8 + text)),
    files("header-byte-order-mark", _header_text(lambda text: "\ufeff".encode() + text)),
    files("header-name-twice", _header_text(_duplicate_name)),
    files("header-list", _header_text(lambda text: b"[]")),
    files("header-empty-object", _header_text(lambda text: b"{}")),
    files("header-length-zero", lambda folder: last_shard(folder).write_bytes(b"\0" * 8 + last_shard(folder).read_bytes()[8:])),
    files("header-shifted", lambda folder: edit_header(last_shard(folder), _shift)),
    files("header-beyond-end", lambda folder: edit_header(last_shard(folder), lambda header: _last_entry(header).update(data_offsets=[offset + 4096 for offset in _last_entry(header)["data_offsets"]]))),
    files("header-backwards", lambda folder: edit_header(last_shard(folder), lambda header: _last_entry(header).update(data_offsets=_last_entry(header)["data_offsets"][::-1]))),
    files("header-shape-negative", lambda folder: edit_header(last_shard(folder), lambda header: _last_entry(header).update(shape=[-1, 128]))),
    files("header-shape-float", lambda folder: edit_header(last_shard(folder), lambda header: _last_entry(header).update(shape=[float(size) for size in _last_entry(header)["shape"]]))),
    files("header-shape-missing", lambda folder: edit_header(last_shard(folder), lambda header: _last_entry(header).pop("shape"))),
    files("header-dtype-lower-case", lambda folder: edit_header(last_shard(folder), lambda header: _last_entry(header).update(dtype=_last_entry(header)["dtype"].lower()))),
    files("header-dtype-torch", lambda folder: edit_header(last_shard(folder), lambda header: _last_entry(header).update(dtype="torch.int8"))),
    files("header-entry-key", lambda folder: edit_header(last_shard(folder), lambda header: _last_entry(header).update(note="x"))),
    files("header-metadata-numbers", lambda folder: edit_header(last_shard(folder), lambda header: header.update(__metadata__={"format": "pt", "step": 7}))),
    files("header-metadata-nested", lambda folder: edit_header(last_shard(folder), lambda header: header.update(__metadata__={"format": "pt", "more": {"a": "b"}}))),
    files("header-metadata-null", lambda folder: edit_header(last_shard(folder), lambda header: header.update(__metadata__=None))),
    files("header-metadata-without-format", lambda folder: edit_header(last_shard(folder), lambda header: header.update(__metadata__={"made_by": "x"}))),
    files("shard-compressed", lambda folder: last_shard(folder).write_bytes(gzip.compress(last_shard(folder).read_bytes()))),
    files("shard-is-page", lambda folder: last_shard(folder).write_text("<!DOCTYPE html><html><body>404</body></html>")),
    files("shard-is-zeros", lambda folder: last_shard(folder).write_bytes(b"\0" * last_shard(folder).stat().st_size)),
    files("shard-is-pickle", lambda folder: last_shard(folder).write_bytes(b"PK\x03\x04" + b"\0" * 400)),
    files("shard-link-gone", _link_gone),
    files("shard-is-folder", _folder_instead),
    files("shard-incomplete", _suffix(".incomplete")),
    files("shard-upper-case", lambda folder: last_shard(folder).rename(last_shard(folder).with_name(last_shard(folder).name.upper()))),
    files("shard-copy-beside", lambda folder: shutil.copy(last_shard(folder), folder / f"{last_shard(folder).stem} (1).safetensors")),
    files("shards-of-earlier-run-beside", _other_set_beside),
    files("shards-in-folder", _moved_down),
    files("resource-fork-beside", lambda folder: (folder / f"._{last_shard(folder).name}").write_bytes(b"\0\5\26\7" + b"\0" * 60)),
    files("adapter-beside", lambda folder: write_file(folder / "adapter_model.safetensors", {}, b"")),
    files("adapter-config-beside", lambda folder: (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "x"}')),
    files("mistral-params-beside", lambda folder: (folder / "params.json").write_text('{"dim": 128}')),
    files("tensor-twice-different", _twice_but_different),
    files("tensor-twice-other-shape", _twice_of_another_shape),
    files("config-windows-lines", _config_bytes(lambda text: text.replace("\n", "\r\n").encode())),
    files("config-utf-16", _config_bytes(lambda text: text.encode("utf-16"))),
    files("config-latin-1", _config_bytes(lambda text: text.replace('"hidden_act"', '"author": "é", "hidden_act"').encode("latin-1"))),
    files("config-comment", lambda folder: edit_config_text(folder, lambda text: "// made by hand\n" + text)),
    files("config-single-quotes", lambda folder: edit_config_text(folder, lambda text: text.replace('"', "'"))),
    files("config-null", lambda folder: (folder / "config.json").write_text("null")),
    files("config-twice", lambda folder: edit_config_text(folder, lambda text: text + text)),
    files("config-key-twice", lambda folder: edit_config_text(folder, lambda text: text.rstrip().removesuffix("}").rstrip() + ', "vocab_size": 7}')),
    files("config-one-line", lambda folder: edit_config_text(folder, lambda text: json.dumps(json.loads(text)))),
    files("config-infinity", lambda folder: edit_config_text(folder, lambda text: text.replace('"model_type"', '"some_limit": Infinity, "model_type"', 1))),
    files("config-zeros-after", _config_bytes(lambda text: text.encode() + b"\0" * 64)),
    files("generation-config-gone", lambda folder: (folder / "generation_config.json").unlink() if (folder / "generation_config.json").exists() else none("none")),
    files("generation-config-list", lambda folder: (folder / "generation_config.json").write_text("[]")),
    files("provenance-broken", lambda folder: (folder / "ctq.json").write_text("{") if (folder / "ctq.json").exists() else none("none")),
    files("provenance-gone", lambda folder: (folder / "ctq.json").unlink() if (folder / "ctq.json").exists() else none("none")),
)  # fmt: skip
