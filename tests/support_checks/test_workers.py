"""Programs that run in the interpreters of engines find the worker of the real vLLM, whose modules they share."""

from __future__ import annotations

import runpy
from pathlib import Path

from vllm_worker import WORKER

SGLANG = Path(__file__).parents[1] / "engines" / "sglang" / "worker.py"


def test_the_worker_is_where_they_look_for_it() -> None:
    assert WORKER.is_file()
    assert (runpy.run_path(str(SGLANG))["SHARED"] / "__init__.py").is_file()
