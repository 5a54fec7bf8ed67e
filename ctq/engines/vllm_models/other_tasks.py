"""Names of classifiers and reward models, which vLLM makes of a language model's class with another output than a head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.architecture_endings import CAUSAL_LM, CLASSIFIERS
from ctq.engines.vllm_models.registry import is_registered

if TYPE_CHECKING:
    from collections.abc import Iterable

_REWARDS = {"InternLM2ForRewardModel": "v_head", "Qwen2ForProcessRewardModel": "score", "Qwen2ForRewardModel": "score"}
"""What makes a reward of a model's states (vLLM 0.32.0 models/qwen2_rm.py, internlm2.py)."""


def lacks_its_reward(architecture: str, leaves: Iterable[str]) -> bool:
    """Tell a reward model of vLLM's own of whose output nothing is among the last words of the files' modules."""
    output = _REWARDS.get(architecture)
    return output is not None and output not in leaves


def rewarded_model(architecture: str) -> str | None:
    """Return the language model whose class a reward model of vLLM's own has beneath its output."""
    stem = architecture.partition("For")[0] if architecture in _REWARDS else ""
    return f"{stem}{CAUSAL_LM}" if stem else None


def classified_model(architecture: str) -> str | None:
    """Return the language model of whose registered class vLLM makes a classifier with a `score` from the files."""
    stem = next((architecture.removesuffix(task) for task in CLASSIFIERS if architecture.endswith(task)), None)
    model = f"{stem}{CAUSAL_LM}" if stem is not None else ""
    return model if is_registered(model) else None
