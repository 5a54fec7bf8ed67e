"""Embedding models of sentence-transformers: the file that says so beside a model, and the folders of its modules."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ctq.checkpoint.source import Source

    Module: TypeAlias = Mapping[str, Any]

MODULES_NAME = "modules.json"
_LARGEST = 1_000_000
_POOLING = frozenset(
    {
        "sentence_transformers.models.Pooling",
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    }
)
_NORMALIZE = frozenset(
    {
        "sentence_transformers.models.Normalize",
        "sentence_transformers.base.modules.normalize.Normalize",
        "sentence_transformers.sentence_transformer.modules.normalize.Normalize",
    }
)
_MODULE = re.compile(r"\d+_\w+/[^/]+\.(?:json|txt|safetensors)")
"""How sentence-transformers calls a module's folder (``1_Pooling``, ``2_Dense``), and what it keeps there."""


def is_pooled(source: Source) -> bool:
    """Tell a model whose ``modules.json`` names a pooling module: vLLM then pools, whatever the architecture.

    Source: vLLM 0.32.0 ``transformers_utils/config.py:949`` and ``config/model.py:1277``.

    Raises:
        CheckpointError: vLLM reads the file before anything else, and stops at what stands in it.

    """
    if MODULES_NAME not in source.files:
        return False
    try:
        modules = json.loads(source.read(MODULES_NAME, 0, _LARGEST).decode())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{MODULES_NAME}: not JSON ({error})") from error
    if modules is None:
        return False
    try:
        pooling = _first(modules, _POOLING)
        _first(modules, _NORMALIZE)
        if pooling is not None:
            pooling["path"]  # what vLLM asks for next
    except (TypeError, KeyError) as error:
        raise CheckpointError(f"{MODULES_NAME}: no list of modules, each with its type and path") from error
    return pooling is not None


def _first(modules: Iterable[Module], types: frozenset[str]) -> Module | None:
    """Return the first module of one of these types; those behind it are not looked at, as by vLLM."""
    return next((module for module in modules if module["type"] in types), None)


def module_files(names: Collection[str]) -> tuple[str, ...]:
    """Return the files of a sentence-transformers model's modules: how it pools, and the layers behind the model."""
    return tuple(filter(_MODULE.fullmatch, names)) if MODULES_NAME in names else ()
