"""Write checkpoints for vLLM's own model classes: build each from its config on the meta device, and name its tensors backwards.

Started with ``PYTHON mirror_worker.py REQUEST``: a JSON list of jobs with a ``folder`` that holds a config.json and ``merges``; prints
one JSON line for each. Runs in vLLM's interpreter, beside the worker of `ctq.verify.engines.vllm`.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import torch
from mirror_config import complete
from safetensors.torch import save_file
from vllm_worker import serve, start

LARGEST = 60_000_000
"""Elements of one checkpoint."""


def carry_out(job: dict[str, Any]) -> dict[str, Any]:
    """Write one checkpoint; say what went wrong."""
    folder = Path(job["folder"])
    try:
        if job["shrunk"]:
            complete(folder / "config.json")
        return mirror(folder, [tuple(merge) for merge in job["merges"]])
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is the answer
        return {"folder": folder.name, "error": f"{type(error).__name__}: {str(error)[:300]}"}


def mirror(folder: Path, merges: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Write the tensors of one folder."""
    from ctq_vllm_worker import model as engine  # type: ignore[import-not-found]
    from ctq_vllm_worker.engine import parallel_state  # type: ignore[import-not-found]
    from ctq_vllm_worker.plain_config import register_plain_config  # type: ignore[import-not-found]
    from mirror_model import Mirror

    register_plain_config(str(folder))
    config = engine.engine_config(str(folder), tensor_parallel_size=1)
    with parallel_state(config, size=1, rank=0):
        entries = {name: (shape, dtype) for name, shape, dtype in Mirror(engine.build(config).model).entries()}
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
