"""The output's ``config.json``: the source's, with the quantization config added and tied embeddings untied at every level."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import TEXT_CONFIG_KEYS, TIE_ALIASES, TIE_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.config import ModelConfig


def written_config(config: ModelConfig, quantization: Mapping[str, Any], *, untie: bool) -> bytes:
    """Return the bytes of the new ``config.json``.

    ``untie`` writes ``tie_word_embeddings: false`` at the top level and in every nested text config: engines differ in which level
    they read (vLLM takes the top level over ``text_config``, others the reverse).
    """
    raw = _untied(config.raw) if untie else dict(config.raw)
    return (json.dumps(raw | {"quantization_config": quantization}, indent=2, ensure_ascii=False) + "\n").encode()


def _untied(level: Mapping[str, Any]) -> dict[str, Any]:
    nested = {key: _untied(level[key]) for key in TEXT_CONFIG_KEYS if isinstance(level.get(key), dict)}
    return dict(level) | nested | dict.fromkeys([TIE_KEY, *(key for key in TIE_ALIASES if key in level)], False)
