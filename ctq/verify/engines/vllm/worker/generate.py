"""Run the whole engine for a few greedy tokens: the last word where a model fits this machine."""

from __future__ import annotations

import math
from typing import Any

from .faults import describe_exception
from .standins import USED

PROMPT = tuple(range(3, 64, 7))  # token ids that every vocabulary has


def generate(job: dict[str, Any]) -> dict[str, Any]:
    """Load a checkpoint for real and continue a fixed prompt; the process is spent afterwards."""
    stage = "build"
    try:
        from vllm import LLM, SamplingParams

        engine = LLM(
            model=job["checkpoint"],
            skip_tokenizer_init=True,
            enforce_eager=True,
            max_model_len=len(PROMPT) + job["tokens"],
            tensor_parallel_size=job.get("tensor_parallel_size", 1),
        )
        stage = "generate"
        wanted = SamplingParams(
            temperature=0.0, max_tokens=job["tokens"], ignore_eos=True, detokenize=False, logprobs=1
        )
        answer = engine.generate([{"prompt_token_ids": list(PROMPT)}], wanted, use_tqdm=False)[0].outputs[0]
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
        fault = describe_exception(error, stage=stage)
        here = fault.pop("without_bytes") or fault.pop("without_kernel")
        return {"outcome": "undecided" if here else "refused", "error": {**fault, "tensor": None}}
    values = [entry.logprob for step in answer.logprobs or () for entry in step.values()]
    return {
        "outcome": "loaded",
        "prompt": list(PROMPT),
        "generated": list(answer.token_ids),
        "finite": all(math.isfinite(value) for value in values),
        "stand_ins": dict(USED),
    }
