"""Keys that vLLM's class of an architecture reads and the class of its config does not have, so that vLLM refuses it.

The data is made by ``benchmarks/learn/lacking_fields.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import dotted
from ctq.engines.configs.towers import tower_value
from ctq.engines.data_file import of_architecture
from ctq.engines.vllm_models.own_code import brings_its_own_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused


def lacking_fields(config: ModelConfig) -> Iterator[Refused]:
    """Yield, by dotted path, the keys that vLLM reads and neither the config nor its class states."""
    lost = of_architecture("lacking_fields", config.architecture, ()) if not brings_its_own_code(config) else ()
    for path, key in lost:
        level = tower_value(config, path) if path else config.raw
        if not isinstance(level, dict) or key not in level:
            yield dotted(path, key), "is missing, and vLLM needs it"
