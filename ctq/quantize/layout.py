"""Where each tensor to be written lies: shards of bounded size, their headers, and the index over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.index import INDEX_NAME, index_json
from ctq.checkpoint.shards import shard_names, shard_plan
from ctq.checkpoint.writer import PlannedFile, plan_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.quantize.outputs import Output

METADATA = {"format": "pt"}
"""The metadata that transformers asks of a safetensors file."""


def files_of(
    outputs: Sequence[Output], source: Checkpoint, max_shard_size: int
) -> tuple[dict[str, PlannedFile], dict[str, bytes]]:
    """Re-balance the shards, and return them with the index where there are several; the tensors of one module stay together."""
    by_key = {str(i): output for i, output in enumerate(outputs)}
    shards = shard_plan([(key, output.nbytes) for key, output in by_key.items()], max_shard_size)
    metadata = _metadata(source)
    specs = {
        name: [spec for key in keys for spec in by_key[key].specs]
        for name, keys in zip(shard_names(len(shards)), shards, strict=True)
    }
    files = {name: plan_file(tensors, metadata) for name, tensors in specs.items()}
    if len(files) == 1:
        return files, {}
    weight_map = {spec.name: name for name, tensors in specs.items() for spec in tensors}
    total = sum(output.nbytes for output in outputs)
    return files, {INDEX_NAME: index_json(weight_map, total)}


def _metadata(source: Checkpoint) -> dict[str, str]:
    """Keep what every source shard says alike; add the mark that transformers asks for."""
    metadatas = [header.metadata for header in source.headers.values()]
    common = set.intersection(*(set(metadata.items()) for metadata in metadatas)) if metadatas else set()
    return dict(sorted(common | set(METADATA.items()) if "format" not in dict(common) else common))
