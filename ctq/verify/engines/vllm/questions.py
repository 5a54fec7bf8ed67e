"""What the real vLLM is asked: to load a checkpoint, to generate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ctq.verify.engines.vllm.facts import Generation, VllmResult, read_engine, read_generation, read_result
from ctq.verify.engines.vllm.process import run_jobs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Json: TypeAlias = dict[str, Any]
TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmRequest:
    """One checkpoint to load without bytes, as one rank of a tensor parallel group.

    ``modules`` asks for the method of every module; ``head_tokens`` above zero also runs the real head on that many hidden
    states, random ones from ``seed`` or the first rows of ``hidden_states``, a safetensors file with one tensor [tokens, hidden].
    """

    checkpoint: Path
    tensor_parallel_size: int = 1
    rank: int = 0
    modules: bool = False
    head_tokens: int = 0
    seed: int = 0
    hidden_states: Path | None = None


def run_vllm(requests: Sequence[VllmRequest], *, python: Path, timeout_s: float = TIMEOUT_S) -> list[VllmResult]:
    """Return one result per request, in order, all from one process while it lives.

    ``timeout_s`` bounds each request; a worker that dies or hangs gives that request the outcome ``crashed``. Raises
    EngineUnavailableError when vLLM does not start at all.
    """
    if not requests:
        return []
    engine, answers = run_jobs([_job(request) for request in requests], python=python, timeout_s=timeout_s)
    described = read_engine(engine)
    return [read_result(answer, described) for answer in answers]


def generate_vllm(checkpoint: Path, *, python: Path, tokens: int, timeout_s: float = TIMEOUT_S) -> Generation:
    """Run the whole engine for some greedy tokens, in a process of its own; raises and dies as ``run_vllm``."""
    job = {"task": "generate", "checkpoint": str(checkpoint.absolute()), "tokens": tokens}
    engine, answers = run_jobs([job], python=python, timeout_s=timeout_s)
    return read_generation(answers[0], read_engine(engine))


def _job(request: VllmRequest) -> Json:
    return {
        "task": "load",
        "checkpoint": str(request.checkpoint.absolute()),
        "tensor_parallel_size": request.tensor_parallel_size,
        "rank": request.rank,
        "modules": request.modules,
        "head_tokens": request.head_tokens,
        "seed": request.seed,
        "hidden_states": None if request.hidden_states is None else str(request.hidden_states.absolute()),
    }
