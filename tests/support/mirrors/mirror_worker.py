"""Write checkpoints for vLLM's own model classes: build each from its config on the meta device, and name its tensors backwards.

Started with ``PYTHON mirror_worker.py REQUEST``: a JSON list of jobs with a ``folder`` that holds a config.json and ``merges``; prints
one JSON line for each. Of a job with ``holes`` the tensors are only headers over holes, whatever their size. Runs in vLLM's interpreter, beside the worker of `ctq.verify.engines.vllm`.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from pathlib import Path
from typing import Any, TypeAlias

import torch
from mirror_config import complete
from safetensors.torch import save_file
from vllm_worker import serve, start

LARGEST = 60_000_000
"""Elements of one checkpoint with values."""
DTYPES = {
    torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32", torch.int64: "I64", torch.int32: "I32", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL", torch.float8_e4m3fn: "F8_E4M3",
}  # fmt: skip
Entries: TypeAlias = dict[str, tuple[list[int], Any]]


def carry_out(job: dict[str, Any]) -> dict[str, Any]:
    """Write one checkpoint; say what went wrong."""
    folder = Path(job["folder"])
    try:
        if job["shrunk"]:
            complete(folder / "config.json")
        entries = mirror(folder)
        if job.get("holes"):
            write_holes(entries, folder / "model.safetensors")
            return {"folder": folder.name, "tensors": len(entries)}
        return fill(entries, folder, [tuple(merge) for merge in job["merges"]])
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is the answer
        return {"folder": folder.name, "error": f"{type(error).__name__}: {str(error)[:300]}"}


def mirror(folder: Path) -> Entries:
    """Return the shape and dtype of each tensor of one folder."""
    from ctq_vllm_worker import model as engine  # type: ignore[import-not-found]
    from ctq_vllm_worker.engine import parallel_state  # type: ignore[import-not-found]
    from ctq_vllm_worker.plain_config import register_plain_config  # type: ignore[import-not-found]
    from mirror_model import Mirror

    register_plain_config(str(folder))
    config = engine.engine_config(str(folder), tensor_parallel_size=1)
    with parallel_state(config, size=1, rank=0):
        return {name: (shape, dtype) for name, shape, dtype in Mirror(engine.build(config).model).entries()}


def write_holes(entries: Entries, path: Path) -> None:
    """Write a header over a hole as long as the tensors."""
    header, end = {}, 0
    for name, (shape, dtype) in entries.items():
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": DTYPES[dtype], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(path, 8 + len(text) + end)


def fill(entries: Entries, folder: Path, merges: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Write tensors with values."""
    if sum(math.prod(shape) for shape, _ in entries.values()) > LARGEST:
        largest = max(entries, key=lambda name: math.prod(entries[name][0]))
        return {"folder": folder.name, "error": f"too large: {largest} {entries[largest][0]}"}
    generator = torch.Generator().manual_seed(0)
    tensors = {name: _values(shape, dtype, generator) for name, (shape, dtype) in entries.items()}
    save_file(_merged(tensors, merges), folder / "model-00001-of-00001.safetensors", metadata={"format": "pt"})
    return {"folder": folder.name, "tensors": len(tensors)}


def _values(shape: list[int], dtype: Any, generator: Any) -> torch.Tensor:
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    noise = torch.randn(shape, generator=generator)
    return (noise / shape[-1] ** 0.5 if len(shape) > 1 else 1 + 0.05 * noise).to(dtype)


def _merged(tensors: dict[str, torch.Tensor], merges: list[tuple[str, str, str]]) -> dict[str, torch.Tensor]:
    """Rename tensors; those that get one name are put together by ``cat``, ``stack`` or their ``first``."""
    for pattern, replacement, how in merges:
        together: dict[str, list[torch.Tensor]] = {}
        for name, tensor in tensors.items():
            together.setdefault(re.sub(pattern, replacement, name), []).append(tensor)
        join = {"cat": torch.cat, "stack": torch.stack, "first": lambda parts: parts[0]}[how]
        changed = {re.sub(pattern, replacement, name) for name in tensors if re.search(pattern, name)}
        tensors = {name: join(parts) if name in changed else parts[0] for name, parts in together.items()}
    return tensors


if __name__ == "__main__":
    start()
    serve("mirror", carry_out)
