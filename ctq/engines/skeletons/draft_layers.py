"""How many layers behind the decoder's vLLM leaves unread, as draft layers (DeepSeek's and GLM's multi-token prediction).

The data is made by ``benchmarks/learn/draft_layers.py`` from loads by vLLM 0.32.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.fields import known_number
from ctq.engines.data_file import of_architecture
from ctq.engines.vllm.backend import is_served_by_backend
from ctq.engines.vllm_models.borrowed import borrowed_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.checkpoint.config import ModelConfig

_BACKEND_KEYS = ("n_predict", "num_nextn_predict_layers", "mtp_num_hidden_layers")
"""The keys that vLLM's Transformers backend counts them by, in its order (vLLM 0.32.0 ``models/transformers/base.py:538``)."""


def draft_layer_count(config: ModelConfig) -> int:
    """Return the number of layers behind the decoder's that the class leaves unread; 0 where it counts none, or reads them.

    Where no key states it, it is what the model type assumes (DeepSeek-V3: 1).
    """
    architecture = config.architecture
    keys: Sequence[str] = _BACKEND_KEYS if is_served_by_backend(architecture) else _keys(config)
    return next((count for key in keys if (count := known_number(config, key)) is not None), 0)


def counts_drafts(config: ModelConfig) -> bool:
    """Tell a class of vLLM's own that leaves unread as many layers behind the decoder's as it counts, and refuses more."""
    return not is_served_by_backend(config.architecture) and bool(_keys(config))


def _keys(config: ModelConfig) -> Sequence[str]:
    found: Sequence[str] = of_architecture("draft_layers", borrowed_from(config) or config.architecture, ())
    return found
