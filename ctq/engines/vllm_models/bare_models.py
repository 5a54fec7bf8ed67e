"""Names of models without their heads, which embed; the rest of what vLLM pools with is in ``other_tasks.py``.

What vLLM serves of bare models was learnt by ``benchmarks/learn/bare_models.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.architecture_endings import BARE, CAUSAL_LM, CHAT, LM_HEAD, WRAPPER
from ctq.engines.data_file import read_data
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.known_names import base_models, known_architectures
from ctq.engines.vllm_models.registry import is_registered
from ctq.recipe.heads import is_pooling

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_HEAD = (CAUSAL_LM, WRAPPER, LM_HEAD)
"""Endings of the model whose body ends in `Model`."""


def is_bare(architecture: str) -> bool:
    """Tell the name of a model without its head, which no engine takes for another (`Qwen2_5_VLModel`)."""
    return is_base_name(architecture) and head_support(architecture) is None


def is_base_name(architecture: str) -> bool:
    """Tell the name of a model's class without its head, those among them that vLLM has an entry for (`LlamaModel`).

    A name that ends with `ChatModel` generates (vLLM 0.32.0 config/model.py:2325).
    """
    if not architecture.endswith(BARE) or architecture.endswith(CHAT):
        return False
    return architecture in base_models() or any(name in known_architectures() for name in _whole(architecture))


def is_without_head(architecture: str) -> bool:
    """Tell a class of transformers without a head, or one that pools; a body of others may generate (`ChatGLMModel`)."""
    return (architecture.endswith(BARE) and architecture in base_models()) or is_pooling(architecture)


def has_a_type(architecture: str | None) -> bool:
    """Tell an architecture whose base model is that of some model type."""
    return f"{(architecture or '').removesuffix(CAUSAL_LM)}{BARE}" in base_models()


def pools_without_head(architecture: str) -> bool | None:
    """Tell a bare model that vLLM serves to pool with, and drops the head of, from one that it refuses; None where not known."""
    known = read_data("bare_models")
    return architecture in known["pool"] if architecture in (*known["pool"], *known["refused"]) else None


def resembles_a_class(architecture: str) -> bool:
    """Tell a bare model that vLLM makes of the class that generates, as it registers that; its backend would refuse a head."""
    return any(map(is_registered, _whole(architecture)))


def text_model_of(architecture: str) -> str | None:
    """Return the registered text model whose class vLLM makes a base model of, to pool with (`Qwen3Model`, `LlamaModel`)."""
    name = architecture.removesuffix(BARE) + CAUSAL_LM
    is_served = is_base_name(architecture) and pools_without_head(architecture) is not False
    return name if is_served and is_registered(name) else None


def generates_by_name(architecture: str) -> bool:
    """Tell a base model that vLLM registers under the class that generates, which it makes of it unless it is asked to pool.

    Source: vLLM 0.32.0 model_executor/models/registry.py (``LlamaModel``, ``Qwen2Model``, ...), config/model.py
    (``_get_default_runner_type``).
    """
    return is_base_name(architecture) and not is_bare(architecture) and text_model_of(architecture) is not None


def _whole(architecture: str) -> Iterator[str]:
    stem = architecture.removesuffix(BARE)
    return (f"{stem}{task}" for task in _WITH_HEAD)
