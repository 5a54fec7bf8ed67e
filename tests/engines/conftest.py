"""The interpreter of the real vLLM, and one process for all checkpoints of a module: its import takes ten seconds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "CTQ_VLLM_PYTHON"


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """Return the interpreter that CTQ_VLLM_PYTHON names; skip without it."""
    name = os.environ.get(VARIABLE)
    if not name:
        pytest.skip(f"{VARIABLE} names no interpreter with vLLM (make test-engines sets it)")
    return Path(name)
