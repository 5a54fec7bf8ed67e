"""What a worker can be asked, as one table from the name of a task to its function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import facts, model
from .engine import parallel_state
from .faults import describe_exception
from .generate import generate
from .head import CannotRunError, run_head
from .plain_config import lacks_code, register_plain_config

if TYPE_CHECKING:
    from collections.abc import Callable


def load(job: dict[str, Any]) -> dict[str, Any]:
    """Build and load one checkpoint without bytes; see ``facts.describe`` for what comes back."""
    size, rank = job.get("tensor_parallel_size", 1), job.get("rank", 0)
    stage, dry, plain = "config", None, False
    try:
        plain = register_plain_config(job["checkpoint"])
        config = model.engine_config(job["checkpoint"], tensor_parallel_size=size)
        with parallel_state(config, size=size, rank=rank):
            stage = "build"
            dry = model.build(config)
            stage = "load"
            model.load(dry)
            found = facts.describe(dry, modules=job.get("modules", False))
            return {"outcome": "loaded", **found, **(try_head(dry, job) if job.get("head_tokens") else {})}
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
        fault = describe_exception(error, stage=stage)
        here = fault.pop("without_bytes") or fault.pop("without_kernel")
        here = here or (plain and stage != "load" and lacks_code(error))
        last = next(reversed(dry.offered), None) if dry else None
        return {"outcome": "undecided" if here else "refused", "error": {**fault, "tensor": last}}


def try_head(dry: model.DryModel, job: dict[str, Any]) -> dict[str, Any]:
    """Run the head; what the engine raises there is an answer of its own and leaves the load's facts as they are."""
    try:
        return {"head_run": run_head(dry, job)}
    except CannotRunError as error:
        return {"head_skipped": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
        fault = describe_exception(error, stage="head")
        return {"head_skipped": fault["message"]} if fault["without_kernel"] else {"head_error": fault}


TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "load": load,
    "generate": generate,
}
