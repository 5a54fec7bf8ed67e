"""One rank's parameters of a head, read from the files by byte ranges straight into their memory. Needs torch.

Never more than the parameters themselves and one block are held: a tensor is not read whole, and nothing is mapped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ctq.checkpoint.dtypes import DTYPES
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.engines.vllm.head.geometry import HeadGeometry
    from ctq.engines.vllm.head.parameters import ParameterSpec
    from ctq.engines.vllm.head.placement import Placement
    from ctq.verify.tensor_bytes import TensorBytes

BLOCK_BYTES = 32 * 1024 * 1024
"""What passes through host memory at a time on its way to another dtype or device."""


def torch_dtype(code: str) -> torch.dtype:
    """Return torch's dtype for a safetensors one.

    Raises:
        CheckpointError: torch has none.

    """
    name = DTYPES[code].torch_name
    if name is None or not hasattr(torch, name):
        raise CheckpointError(f"no way to read {code} values here")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def fill_rows(reader: TensorBytes, target: torch.Tensor, name: str, first: int) -> None:
    """Fill ``target`` with the rows of a tensor from ``first`` on, by value where its dtype is another.

    Raises:
        CheckpointError: the file ends early or cannot be read.

    """
    info = reader[name]
    row_shape, dtype = info.shape[1:], torch_dtype(info.dtype)
    row_bytes = info.nbytes // max(1, info.shape[0] if info.shape else 1)
    if target.device.type == "cpu" and target.dtype == dtype and target.shape[1:] == row_shape:
        reader.read(name, _bytes_of(target), first * row_bytes)
        return
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    block = torch.empty((min(step, target.shape[0]), *row_shape), dtype=dtype)
    for start in range(0, target.shape[0], step):
        part = block[: min(step, target.shape[0] - start)]
        reader.read(name, _bytes_of(part), (first + start) * row_bytes)
        target[start : start + part.shape[0]].copy_(part)


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data if tensor.numel() else memoryview(b"")


def load_rank(
    reader: TensorBytes, placements: Sequence[Placement], head: HeadGeometry, *, rank: int, device: str
) -> dict[str, torch.Tensor]:
    """Return the parameters of one rank by name, each row beyond the vocabulary zero, as the engine leaves them."""
    return {
        placement.spec.name: _load(reader, placement.spec, placement.tensor, head.shard(rank), device)
        for placement in placements
    }


def _load(reader: TensorBytes, spec: ParameterSpec, tensor: str, shard: tuple[int, int], device: str) -> torch.Tensor:
    parameter = torch.empty(spec.shape, dtype=torch_dtype(spec.dtype), device=device)
    if spec.layout == "whole":
        fill_rows(reader, parameter, tensor, 0)
        return parameter
    per_word = spec.per_word if spec.layout == "packed-rows" else 1
    first, stop = shard[0] // per_word, shard[0] // per_word + (shard[1] - shard[0]) // per_word
    fill_rows(reader, parameter[: stop - first], tensor, first)
    parameter[stop - first :].zero_()
    return parameter
