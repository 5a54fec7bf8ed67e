"""Which files beside the weights belong to a model and are copied: tokenizers, generation settings, templates, texts, code."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ctq.checkpoint.config import CONFIG_NAME
from ctq.checkpoint.pooling import module_files

if TYPE_CHECKING:
    from collections.abc import Iterable

PROVENANCE_NAME = "ctq.json"

_SUFFIXES = frozenset(
    {".json", ".jsonl", ".txt", ".model", ".tiktoken", ".jinja", ".md", ".vocab", ".bpe", ".spm", ".yaml"}
)
_CODE = ".py"
_NAMES = frozenset({"LICENSE", "NOTICE", "LICENCE", "USE_POLICY", "merges.txt"})
_WRITTEN = frozenset({CONFIG_NAME, PROVENANCE_NAME})
_SKIPPED_FOLDERS = frozenset({"original", "onnx", "runs", "logs", "checkpoints"})


def side_files(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names to copy; pickles, other weights and what is written anew are left behind.

    The modules of a sentence-transformers model come with it, small layers with weights of their own among them, and the code
    beside the weights, without which engines do not load a model that brings its own.
    """
    names = tuple(names)
    modules = frozenset(module_files(names))
    return tuple(name for name in names if name in modules or _is_side_file(PurePosixPath(name)))


def _is_side_file(path: PurePosixPath) -> bool:
    if path.name in _WRITTEN or path.name.endswith(".index.json") or path.name.startswith("."):
        return False
    if set(path.parts[:-1]) & _SKIPPED_FOLDERS:
        return False
    if path.suffix == _CODE:
        # Modules of classes that `auto_map` names; code elsewhere is for training and the like.
        return len(path.parts) == 1
    return path.suffix.lower() in _SUFFIXES or path.name.split(".")[0].upper() in _NAMES
