"""What a worker can be asked, as one table from the name of a task to its function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import facts, model
from .engine import parallel_state
from .faults import describe_exception

if TYPE_CHECKING:
    from collections.abc import Callable


def load(job: dict[str, Any]) -> dict[str, Any]:
    """Build and load one checkpoint without bytes; see ``facts.describe`` for what comes back."""
    size, rank = job.get("tensor_parallel_size", 1), job.get("rank", 0)
    stage = "config"
    try:
        config = model.engine_config(job["checkpoint"], tensor_parallel_size=size)
        with parallel_state(config, size=size, rank=rank):
            stage = "build"
            built, heads = model.build(config)
            stage = "load"
            dry = model.load(config, built, heads)
            return {"outcome": "loaded", **facts.describe(dry, modules=job.get("modules", False))}
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
        fault = describe_exception(error, stage=stage)
        return {"outcome": "undecided" if fault["without_bytes"] else "refused", "error": fault}


TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"load": load}
