"""The index of a sharded checkpoint: which file holds which tensor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ctq.checkpoint.strict_json import JsonError, parse_strictly, quoted
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX_NAME = "model.safetensors.index.json"
SINGLE_NAME = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Index:
    """``weight_map`` from tensor name to file name, and the ``total_size`` in bytes that the index claims, if any."""

    weight_map: Mapping[str, str]
    total_size: int | None


def parse_index(raw: bytes) -> Index:
    """Parse the JSON of an index.

    Raises:
        CheckpointError: not JSON, a name twice, no ``weight_map``, or an entry that leaves the folder.

    """
    try:
        data = parse_strictly(raw).value
    except JsonError as error:
        raise CheckpointError(f"{INDEX_NAME}: {error}") from error
    weight_map = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(weight_map, dict) or not set(map(type, weight_map.values())) <= {str}:
        raise CheckpointError(f"{INDEX_NAME}: no weight_map from tensor names to file names")
    for name in dict.fromkeys(weight_map.values()):
        if leaves_folder(name):
            raise CheckpointError(f"{INDEX_NAME}: the entry {quoted(name)} leaves the folder, or is no file name")
    metadata = data.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    # Some tools write a float; a whole one is as good as an integer.
    total = int(total) if isinstance(total, float) and total.is_integer() else total
    return Index(weight_map, total if type(total) is int else None)


def leaves_folder(name: str) -> bool:
    """Tell whether a relative file name points outside its folder, or is no name at all."""
    path = PurePosixPath(name)
    return not name or path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name


def index_json(weight_map: Mapping[str, str], total_size: int) -> bytes:
    """Return the bytes of an index file, as the hub's own library writes it."""
    data = {"metadata": {"total_size": total_size}, "weight_map": dict(sorted(weight_map.items()))}
    return (json.dumps(data, indent=2) + "\n").encode()
