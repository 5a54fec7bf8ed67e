"""The output's ``config.json``: the source's, with the quantization config added and tied embeddings untied at every level."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import TIE_ALIASES, TIE_KEY, ModelConfig

if TYPE_CHECKING:
    from collections.abc import Mapping


def written_config(config: ModelConfig, quantization: Mapping[str, Any], *, untie: bool) -> bytes:
    """Return the bytes of the new ``config.json``.

    ``untie`` writes ``tie_word_embeddings: false`` at the top level and in every nested text config: engines differ in which level
    they read (vLLM takes the top level over ``text_config``, others the reverse).
    """
    own: dict[str, Any] = json.loads(json.dumps(config.raw))
    for _, level in ModelConfig(own).text_levels if untie else ():
        assert isinstance(level, dict)
        level.update(dict.fromkeys([TIE_KEY, *(key for key in TIE_ALIASES if key in level)], False))
    return (json.dumps(own | {"quantization_config": quantization}, indent=2, ensure_ascii=False) + "\n").encode()
