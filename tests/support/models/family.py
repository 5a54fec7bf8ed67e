"""What a family of tiny checkpoints is: one row of facts, from which a real checkpoint is built by transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias

Config: TypeAlias = Mapping[str, Any]

TOKENS: Final[Config] = MappingProxyType({"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2})
BASE: Final[Config] = MappingProxyType(
    {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
     "max_position_embeddings": 256, **TOKENS}
)  # fmt: skip
"""Multiples of 128 wherever a weight's input is, so that groups of 128 divide; heads of 32."""
GQA: Final[Config] = MappingProxyType({**BASE, "num_key_value_heads": 2})
VISION: Final[Config] = MappingProxyType(
    {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4,
     "image_size": 28, "patch_size": 14}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One row: the class that transformers builds, its tiny configuration, and what the files will hold.

    ``head`` is the module name of the head in the files, None where no tensor of its own is saved (tied).
    ``text`` is the key of the nested config that holds the vocabulary, "" where it is the top level.
    """

    name: str
    architecture: str
    config: Config = field(default_factory=dict)
    head: str | None = "lm_head"
    text: str = ""
    vocab: int = 320
    tied: bool = False
    moe: bool = False
    multimodal: bool = False
    notes: str = ""
    shrunk: bool = False
    """Whether the configuration is the class's default one made small, ``config`` what differs from it."""
    renames: tuple[tuple[str, str], ...] = ()
    """Patterns and replacements that give tensors the names of published checkpoints, where transformers saves others."""
    processor: bool = False
    """Whether vLLM loads it only beside the files of a processor."""

    def in_text(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return changes of the text model's configuration as the whole configuration has them."""
        for level in reversed([word for word in self.text.split(".") if word]):
            changes = {level: changes}
        return changes
