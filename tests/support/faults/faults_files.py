"""Faults of the index and of the files: bad copies, half uploads, mixed folders, damage."""

from __future__ import annotations

import shutil
import struct
from typing import TYPE_CHECKING, Any, Final

from builders import INDEX, edit_index, write_index
from fault import Fault
from faults_model import none
from raw_safetensors import edit_header, read_file, write_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def index(name: str, change: Callable[[dict[str, Any]], object]) -> Fault:
    """Change the index and nothing else."""

    def run(folder: Path) -> None:
        if not (folder / INDEX).exists():
            none("one file")
        edit_index(folder, change)

    return Fault(name, "index", run)


def files(name: str, change: Callable[[Path], object]) -> Fault:
    """Change the files."""
    return Fault(name, "files", change)


def shards(folder: Path) -> list[Path]:
    """Return the weights' files."""
    return sorted(folder.glob("*.safetensors"))


def several(folder: Path) -> list[Path]:
    """Return the weights' files where there are at least two."""
    found = shards(folder)
    return found if len(found) > 1 else none("one file")


def last_shard(folder: Path) -> Path:
    return shards(folder)[-1]


def some_tensor(value: dict[str, Any]) -> str:
    return next(name for name in value["weight_map"] if name.endswith("weight_scale"))


def _wrong_shard(value: dict[str, Any]) -> None:
    name = some_tensor(value)
    other = next(file for file in value["weight_map"].values() if file != value["weight_map"][name])
    value["weight_map"][name] = other


def _lose_entry(value: dict[str, Any]) -> None:
    del value["weight_map"][some_tensor(value)]


def _lose_file(value: dict[str, Any]) -> None:
    gone = sorted(value["weight_map"].values())[-1]
    value["weight_map"] = {name: file for name, file in value["weight_map"].items() if file != gone}


def _dense_names(value: dict[str, Any]) -> None:
    """Keep the index of the dense model, as a script does that copies every JSON file."""
    kept = {name.replace("weight_packed", "weight"): file for name, file in value["weight_map"].items()}
    value["weight_map"] = {name: file for name, file in kept.items() if not name.endswith(("_scale", "_shape"))}


def _cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


def _length(path: Path, change: Callable[[int], int]) -> None:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    path.write_bytes(struct.pack("<Q", change(length)) + content[8:])


def _swap(folder: Path) -> None:
    first, last = several(folder)[0], several(folder)[-1]
    one, other = first.read_bytes(), last.read_bytes()
    first.write_bytes(other)
    last.write_bytes(one)


def _same_contents(folder: Path) -> None:
    first, last = several(folder)[0], several(folder)[-1]
    last.write_bytes(first.read_bytes())


def duplicate(folder: Path, change: Callable[[bytes], bytes] = bytes) -> None:
    """Put a tensor of the first file into the last one as well, its bytes as ``change`` gives them."""
    first, last = several(folder)[0], several(folder)[-1]
    header, data = read_file(first)
    other, rest = read_file(last)
    name = next(name for name in header if name.endswith("weight"))
    start, end = header[name]["data_offsets"]
    other[name] = header[name] | {"data_offsets": [len(rest), len(rest) + end - start]}
    write_file(last, other, rest + change(data[start:end]))


def _overlap(header: dict[str, Any]) -> None:
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    if len(entries) < 2:
        none("one tensor in this file")
    entries[1]["data_offsets"] = entries[0]["data_offsets"]


def _entry(header: dict[str, Any]) -> dict[str, Any]:
    scales = [entry for name, entry in header.items() if name.endswith("weight_scale")] or none("no scale in this file")
    found: dict[str, Any] = scales[0]
    return found


def _stray_dense(folder: Path) -> None:
    """Leave the dense model's single file beside the shards."""
    several(folder)
    header, data = read_file(shards(folder)[0])
    write_file(folder / "model.safetensors", header, data)


def _consolidated(folder: Path) -> None:
    shutil.copy(shards(folder)[0], folder / "consolidated.safetensors")


def _pointer(folder: Path) -> None:
    last_shard(folder).write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    )


def _merge(folder: Path) -> None:
    """Put everything into one file and leave the index as it was."""
    from raw_safetensors import read_safetensors, write_safetensors

    tensors = {name: raw for path in several(folder) for name, raw in read_safetensors(path).items()}
    for path in shards(folder):
        path.unlink()
    write_safetensors(folder / "model.safetensors", tensors, metadata={"format": "pt"})


def _rename_files(folder: Path) -> None:
    for path in several(folder):
        path.rename(path.with_name(path.name.replace("model-", "weights-")))


def _without_metadata(header: dict[str, Any]) -> None:
    header.pop("__metadata__", None) or none("no metadata")


def edit_config_text(folder: Path, change: Callable[[str], str]) -> None:
    path = folder / "config.json"
    path.write_text(change(path.read_text()))


INDEX_FAULTS: Final[tuple[Fault, ...]] = (
    files("index-gone", lambda folder: [several(folder), (folder / INDEX).unlink()]),
    index("index-wrong-file", _wrong_shard),
    index("index-promises-tensor", lambda value: value["weight_map"].update({"model.extra.weight": next(iter(value["weight_map"].values()))})),
    index("index-lacks-tensor", _lose_entry),
    index("index-lacks-file", _lose_file),
    index("index-of-dense", _dense_names),
    index("index-promises-file", lambda value: value["weight_map"].update({"model.extra.weight": "model-00009-of-00009.safetensors"})),
    index("index-total-wrong", lambda value: value["metadata"].update(total_size=1)),
    index("index-no-total", lambda value: value.pop("metadata")),
    index("index-no-map", lambda value: value.pop("weight_map")),
    index("index-map-empty", lambda value: value.update(weight_map={})),
    index("index-outside", lambda value: value["weight_map"].update({some_tensor(value): "../model.safetensors"})),
    files("index-not-json", lambda folder: (folder / INDEX).write_text("{")),
    files("index-empty", lambda folder: (folder / INDEX).write_text("")),
    files("index-beside-one-file", _merge),
)  # fmt: skip

FILE_FAULTS: Final[tuple[Fault, ...]] = (
    files("truncated", lambda folder: _cut(last_shard(folder), 100)),
    files("truncated-by-one", lambda folder: _cut(last_shard(folder), 1)),
    files("truncated-to-header", lambda folder: _cut(last_shard(folder), len(read_file(last_shard(folder))[1]))),
    files("truncated-in-header", lambda folder: last_shard(folder).write_bytes(last_shard(folder).read_bytes()[:100])),
    files("empty-file", lambda folder: last_shard(folder).write_bytes(b"")),
    files("bytes-appended", lambda folder: last_shard(folder).write_bytes(last_shard(folder).read_bytes() + b"\0" * 64)),
    files("header-length-huge", lambda folder: _length(last_shard(folder), lambda _: 2**60)),
    files("header-length-off", lambda folder: _length(last_shard(folder), lambda length: length - 8)),
    files("header-not-json", lambda folder: write_file(last_shard(folder), b"{" * 64, b"")),
    files("header-overlap", lambda folder: edit_header(last_shard(folder), _overlap)),
    files("header-dtype-unknown", lambda folder: edit_header(last_shard(folder), lambda header: _entry(header).update(dtype="I7"))),
    files("header-shape-off", lambda folder: edit_header(last_shard(folder), lambda header: _entry(header).update(shape=[3, 5]))),
    files("header-without-metadata", lambda folder: edit_header(last_shard(folder), _without_metadata)),
    files("header-metadata-tf", lambda folder: edit_header(last_shard(folder), lambda header: header.update(__metadata__={"format": "tf"}))),
    files("shard-gone", lambda folder: several(folder)[-1].unlink()),
    files("shard-is-pointer", _pointer),
    files("shards-swapped", _swap),
    files("shards-same", _same_contents),
    files("shards-renamed", _rename_files),
    files("shard-of-dense-beside", _stray_dense),
    files("consolidated-beside", _consolidated),
    files("tensor-twice", duplicate),
    files("pickle-beside", lambda folder: (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")),
    files("no-weights", lambda folder: [path.unlink() for path in shards(folder)]),
    files("config-gone", lambda folder: (folder / "config.json").unlink()),
    files("config-empty", lambda folder: (folder / "config.json").write_text("")),
    files("config-cut", lambda folder: edit_config_text(folder, lambda text: text[:-20])),
    files("config-conflict", lambda folder: edit_config_text(folder, lambda text: "<<<<<<< HEAD\n" + text)),
    files("config-list", lambda folder: edit_config_text(folder, lambda text: f"[{text}]")),
    files("config-trailing-comma", lambda folder: edit_config_text(folder, lambda text: text.rstrip().removesuffix("}") + ",}")),
    files("config-byte-order-mark", lambda folder: edit_config_text(folder, lambda text: "\ufeff" + text)),
    files("config-nan", lambda folder: edit_config_text(folder, lambda text: text.replace('"vocab_size"', '"some_factor": NaN, "vocab_size"', 1))),
    files("generation-config-broken", lambda folder: (folder / "generation_config.json").write_text("{")),
    files("index-rewritten", lambda folder: [several(folder), write_index(folder)]),
)  # fmt: skip
