"""What vLLM's own classes of text models check of several keys at once, beside what transformers' config classes check.

The data is made by ``benchmarks/learn/vllm_checks.py`` from the sources of vLLM 0.32.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.configs.checks import holding
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import of_architecture
from ctq.engines.vllm_models.text_architecture import text_architecture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused


def broken_by_vllm(config: ModelConfig) -> Iterator[Refused]:
    """Yield the first key of each condition of the text model's class that holds, by dotted path, and the condition."""
    path, level = read_levels(config)[-1]
    yield from holding(of_architecture("vllm_checks", text_architecture(config), ()), path, level)
