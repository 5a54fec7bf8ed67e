"""What the real vLLM makes of checkpoints whose data it does not read, as the sweeps put it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sweep_truth import Observation, observe

from ctq.verify.engines.vllm.questions import VllmRequest, run_vllm

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ctq.verify.engines.vllm.facts import VllmResult

SLOW_S: Final = 300.0
"""Seconds after which a load is given up."""


def loaded(folders: Iterable[Path], python: Path, *, timeout_s: float = SLOW_S) -> list[VllmResult]:
    """Load checkpoints with the vLLM of an interpreter and return what came of each, in order."""
    requests = [VllmRequest(checkpoint=folder) for folder in folders]
    return run_vllm(requests, python=python, timeout_s=timeout_s)


def observed(folders: Iterable[Path], python: Path, *, timeout_s: float = SLOW_S) -> list[Observation]:
    """Load checkpoints and return what was seen of each, small enough to keep."""
    return [observe(result) for result in loaded(folders, python, timeout_s=timeout_s)]
