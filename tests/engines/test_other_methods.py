"""Layers of other methods in the real vLLM: it refuses, or leaves without values, what `ctq` reports, and serves what it passes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest
from families import build
from method_changes import FAULTS, HARMLESS, OTHERWISE
from quantized_by import TOOLS, quantized_by
from sweep_truth import Truth, observe, truth_of

from ctq.verify.engines.vllm.questions import VllmRequest, run_vllm

pytestmark = pytest.mark.engine
WHOLE: Final = "llama-head64"
"""A family whose layers every tool's blocks divide."""


def checkpoints(room: Path) -> dict[str, tuple[Path, bool]]:
    """Write what tools write, whole and changed, and whether vLLM has to serve it."""
    found = {f"{tool}, whole": (stored(tool, WHOLE, room), True) for tool in TOOLS}
    for table, is_good in ((FAULTS, False), (OTHERWISE, False), (HARMLESS, True)):
        for name, (tool, family, change, *_) in table.items():
            folder = stored(tool, family, room)
            change(folder)
            found[name] = folder, is_good
    return found


def stored(tool: str, family: str, room: Path) -> Path:
    source = room / "dense" / family
    if not source.exists():
        build(family, source)
    return quantized_by(tool, shutil.copytree(source, room / f"{len(list(room.iterdir()))}"))


def test_changes_end_as_is_said_of_them(vllm_python: Path, tmp_path: Path) -> None:
    cases = checkpoints(tmp_path)
    results = run_vllm([VllmRequest(checkpoint=folder) for folder, _ in cases.values()], python=vllm_python)
    wrong = {}
    for (name, (_, is_good)), result in zip(cases.items(), results, strict=True):
        truth, why = truth_of(observe(result))
        if (
            truth is not Truth.UNDECIDED and truth.is_good is not is_good
        ):  # no kernel of this build takes four-bit floats
            wrong[name] = why
    assert wrong == {}
