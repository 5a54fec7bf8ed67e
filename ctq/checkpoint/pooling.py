"""Embedding models of sentence-transformers: the file that says so beside a model, and the folders of its modules."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from ctq.checkpoint.source import Source

MODULES_NAME = "modules.json"
_LARGEST = 1_000_000
_POOLING = (
    "sentence_transformers.models.Pooling",
    "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
)
_MODULE = re.compile(r"\d+_\w+/[^/]+\.(?:json|txt|safetensors)")
"""How sentence-transformers calls a module's folder (``1_Pooling``, ``2_Dense``), and what it keeps there."""


def is_pooled(source: Source) -> bool:
    """Tell a model whose ``modules.json`` names a pooling module: vLLM then pools, whatever the architecture.

    Source: vLLM 0.32.0 ``transformers_utils/config.py:949`` and ``config/model.py:1277``.
    """
    if MODULES_NAME not in source.files:
        return False
    try:
        modules = json.loads(source.read(MODULES_NAME, 0, _LARGEST))
    except (ValueError, RecursionError):
        return False
    named = modules if isinstance(modules, list) else []
    return any(isinstance(module, dict) and module.get("type") in _POOLING for module in named)


def module_files(names: Collection[str]) -> tuple[str, ...]:
    """Return the files of a sentence-transformers model's modules: how it pools, and the layers behind the model."""
    return tuple(filter(_MODULE.fullmatch, names)) if MODULES_NAME in names else ()
