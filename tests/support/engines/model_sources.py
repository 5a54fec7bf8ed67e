"""Sources of model classes as vLLM lays them out, written by hand: a registry, the class of heads, and a module for each model."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODELS = "model_executor/models"
IMPORTS = """
import torch.nn as nn

from vllm.distributed import get_pp_group
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead, VocabParallelEmbedding
from vllm.platforms import current_platform

from .utils import AutoWeightsLoader, PPMissingLayer, init_vllm_registered_model, maybe_prefix, no_init_weights
"""
HEAD_CLASS = """
class VocabParallelEmbedding: ...


class ParallelLMHead(VocabParallelEmbedding): ...
"""


def write_release(folder: Path, models: Mapping[str, str], *, registered: Mapping[str, tuple[str, str]]) -> Path:
    """Write the package of a release: the text of each module of models, and the module and class of each architecture.

    A module whose name has a slash lies in `vllm/models`, where packages choose by the platform, and is written as it is.
    """
    root = folder / "vllm"
    files = {f"{MODELS}/{name}.py": IMPORTS + dedent(text) for name, text in models.items() if "/" not in name}
    files |= {f"models/{name}.py": dedent(text) for name, text in models.items() if "/" in name}
    files["model_executor/layers/vocab_parallel_embedding.py"] = HEAD_CLASS
    rows = "".join(f"    {name!r}: {place!r},\n" for name, place in registered.items())
    files[f"{MODELS}/registry.py"] = f"_TEXT_GENERATION_MODELS = {{\n{rows}}}\n"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root
