"""Whether vLLM's class of an architecture has a bias in its head, or passes over one in the files.

Its Transformers backend makes one for any bias that it meets (vLLM 0.32.0 models/transformers/causal.py:68); other classes have one
by their architecture, or their loader drops what ends in `.bias` (models/utils.py:455).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.read_levels import inner_architecture
from ctq.engines.skeletons.find import skeleton_of
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.heads import head_owner

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig

_BIAS = "lm_head.bias"


def has_head_bias(config: ModelConfig) -> bool | None:
    """Tell whether a bias of the head is loaded; None where that is not known."""
    if is_served_by_backend(head_owner(config.architecture, inner_architecture(config))):
        return True
    skeleton = skeleton_of(config)
    return None if skeleton is None else any(name.endswith(_BIAS) for name in skeleton.tensors)
