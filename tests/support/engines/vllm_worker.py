"""The loops of programs that run in vLLM's interpreter beside the worker of `ctq.verify.engines.vllm`, and answer other requests."""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WORKER = Path(__file__).parents[3] / "ctq" / "verify" / "engines" / "vllm" / "worker" / "__main__.py"


def start() -> None:
    """Start the engine, with the stand-ins for what this machine lacks."""
    runpy.run_path(str(WORKER))["load_package"]()
    from ctq_vllm_worker.jobs import start_engine  # type: ignore[import-not-found]

    start_engine()


def tell(word: str, value: object) -> None:
    """Print a line of JSON behind a word that tells it from what the engine prints."""
    sys.__stdout__.write(f"{word} {json.dumps(value)}\n")
    sys.__stdout__.flush()


def serve(word: str, carry_out: Callable[[Any], object]) -> None:
    """Answer each entry of the JSON list that the command line names; ends the process, with whatever threads the engine has."""
    for job in json.loads(Path(sys.argv[1]).read_text()):
        tell(word, carry_out(job))
    os._exit(0)


def answer_jobs(tasks: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> None:
    """Answer jobs as that worker answers its own: whatever the engine does, `run_jobs` has an answer to each."""
    runpy.run_path(str(WORKER))["load_package"]()
    importlib.import_module("ctq_vllm_worker.lifeline").hold_on()
    run = importlib.import_module("ctq_vllm_worker.jobs").run
    os._exit(run(Path(sys.argv[1]), Path(sys.argv[2]), tasks))
