"""Where a config keeps that of its text model, and what loaders read of it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import TEXT_CONFIG_KEYS
from ctq.engines.configs.fields import assumed, reads_itself
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from ctq.checkpoint.config import ModelConfig

_TEXTS = ("text_config", "decoder", "generator", "text_encoder", "llm_config")
"""Keys under which transformers looks for a text model's config (`PreTrainedConfig.get_text_config`), the last one vLLM alone."""
_ELSEWHERE = tuple(key for key in TEXT_CONFIG_KEYS if key not in _TEXTS)
"""Keys of models whose code lies beside them: where no class of transformers reads one, it stands for nothing."""


def unread_text(config: ModelConfig) -> str | None:
    """Return the key of a text model's config that the class of the model type does not read, over which loaders stop."""
    kind, data = config.model_type, read_data("config_fields")
    if kind not in data["models"] or reads_itself(kind):
        return None
    inside = (key for key in _TEXTS if isinstance(config.raw.get(key), dict))
    read = data["nested"].get(kind, ())
    elsewhere = next((key for key in _ELSEWHERE if isinstance(config.raw.get(key), dict)), None)
    if elsewhere is not None and _TEXTS[0] in read and not any(key in config.raw for key in read):
        return elsewhere
    return next((key for key in inside if key not in read), None)


def needs_text_config(model_type: str | None) -> bool:
    """Tell a wrapper's model type whose config class takes nothing of the text model from the top level."""
    return model_type in read_data("config_fields")["below"] and not reads_itself(model_type)


def is_text_type(model_type: str | None) -> bool:
    """Tell a model type whose config class knows of no text model inside."""
    data = read_data("config_fields")
    return model_type in data["models"] and model_type not in data["nested"] and not reads_itself(model_type)


def vocabulary(config: ModelConfig) -> int | None:
    """Return the size of the vocabulary as loaders read it: some wrappers read nothing of the text model at the top level."""
    nested = [level for path, level in config.text_levels if path]
    if nested and needs_text_config(config.model_type) and not any("vocab_size" in level for level in nested):
        value = assumed(config, "vocab_size")
        return value if type(value) is int else None
    return config.vocab_size
