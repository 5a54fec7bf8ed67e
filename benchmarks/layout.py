"""Where tensors lie in safetensors files: shards, headers, the index."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks.shapes import ITEM_SIZE, Config, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

Shards: TypeAlias = dict[str, list[Tensor]]
INDEX: Final = "model.safetensors.index.json"


def split_by_size(tensors: Iterable[Tensor], limit: int) -> Shards:
    """Fill shards greedily up to ``limit`` bytes; a larger tensor has a shard of its own."""
    groups: list[list[Tensor]] = [[]]
    room = limit
    for tensor in tensors:
        if tensor.nbytes > room and groups[-1]:
            groups.append([])
            room = limit
        groups[-1].append(tensor)
        room -= tensor.nbytes
    return _named(groups)


def split_by_count(tensors: Iterable[Tensor], count: int) -> Shards:
    """Cut into exactly ``count`` shards of about equal size, never splitting a tensor."""
    every = list(tensors)
    total = sum(tensor.nbytes for tensor in every)
    groups: list[list[Tensor]] = [[]]
    seen = 0
    for left, tensor in zip(range(len(every), 0, -1), every, strict=True):
        due = seen >= total * len(groups) / count or left <= count - len(groups)
        if due and groups[-1] and len(groups) < count:
            groups.append([])
        groups[-1].append(tensor)
        seen += tensor.nbytes
    return _named(groups)


def in_file_order(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Sort as the safetensors library writes: wider dtypes first, then names."""
    return sorted(tensors, key=lambda tensor: (-ITEM_SIZE[tensor.dtype], tensor.name))


def header_bytes(tensors: Sequence[Tensor]) -> bytes:
    """Return the length and the header for tensors in file order."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.nbytes
        header[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def write_json_files(folder: Path, config: Config, shards: Shards) -> None:
    """Write ``config.json``, ``generation_config.json`` and, for several shards, the index."""
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id")}
    files: dict[str, object] = {"config.json": config, "generation_config.json": generation}
    if len(shards) > 1:
        weight_map = {tensor.name: name for name, tensors in shards.items() for tensor in tensors}
        total = sum(tensor.nbytes for tensors in shards.values() for tensor in tensors)
        files[INDEX] = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")


def _named(groups: Sequence[list[Tensor]]) -> Shards:
    count = len(groups)
    if count == 1:
        return {"model.safetensors": in_file_order(groups[0])}
    return {
        f"model-{number:05d}-of-{count:05d}.safetensors": in_file_order(group) for number, group in enumerate(groups, 1)
    }
