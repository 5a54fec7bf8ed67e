"""The length of context that vLLM derives from a config, which it does not serve below 1.

Source: vLLM 0.32.0 ``transformers_utils/model_arch_config_convertor.py:391`` (``derive_max_model_len_and_key``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import dotted
from ctq.engines.configs.read_levels import read_levels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_KEYS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
_WINS = "model_max_length"
"""The key that counts whatever the others say, unless it is 0."""


def unserved_length(config: ModelConfig) -> Iterator[Refused]:
    """Yield the key of the text model's config, by dotted path, whose value is the length, where that is below 1."""
    where, level = read_levels(config)[-1]
    lengths = {key: level[key] for key in _KEYS if type(level.get(key)) in (int, float)}
    if lengths.get(_WINS):
        lengths = {_WINS: lengths[_WINS]}
    key = min(lengths, key=lambda name: lengths[name], default=None)
    if key is not None and lengths[key] < 1:
        yield dotted(where, key), f"is {lengths[key]}: vLLM serves no length of context below 1"
