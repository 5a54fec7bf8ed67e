"""``config.json`` as a value: architecture, nested text configs, tie flags, sizes and the quantization config."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.strict_json import refuse_surrogates
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONFIG_NAME = "config.json"
DTYPE_KEYS = ("dtype", "torch_dtype")
"""What configs call the dtype of the weights, the newer name first."""
TIE_KEY = "tie_word_embeddings"
TIE_ALIASES = ("tie_embedding", "tie_embeddings", "weight_tying")
"""Other spellings of the tie flag that some model types read (LFM2: ``tie_embedding``) and that then win over the common one."""
QUANTIZATION_KEYS = ("quantization_config", "compression_config")

TEXT_CONFIG_KEYS = (
    "text_config",
    "llm_config",
    "language_config",
    "language_model_config",
    "thinker_config",
    "decoder",
    "decoder_config",
    "text_decoder",
    "text_model_config",
)
"""Keys under which multimodal configs keep the configuration of their language model."""


@dataclass(frozen=True)
class ModelConfig:
    """A model's configuration; ``raw`` is the JSON object as it stands in the file.

    It comes about in three steps. Parsing fills ``raw`` alone. Opening the checkpoint adds what files beside say: ``pools``, that
    one makes an embedding model of it, and ``relative``, that its tensors are called as inside the model that generates
    (``layers.0`` for ``model.layers.0``). ``ctq.engines.vllm_models.registry.as_loaded`` fills ``chosen``, the architecture that
    loaders take where the file names none, or one that nobody knows first: whoever asks what engines make of a config takes that
    step before, and until then ``architecture`` is what the file says. What is written is ``raw``, which no step changes.
    """

    raw: Mapping[str, Any]
    chosen: str | None = None
    pools: bool = False
    relative: bool = False

    @property
    def names_no_architecture(self) -> bool:
        """Whether ``architectures`` is missing, null or empty."""
        return not self.raw.get("architectures")

    @property
    def diffusers_class(self) -> str | None:
        """The class of a part of a diffusers pipeline, whose config names no architecture; None of any other model."""
        name = self.raw.get("_class_name") if self.names_no_architecture else None
        return name if isinstance(name, str) else None

    @property
    def architecture(self) -> str | None:
        """The one that was ``chosen`` for loaders, else the first entry of ``architectures``."""
        if self.chosen is not None or self.names_no_architecture:
            return self.chosen
        names = self.raw["architectures"]
        first = names[0] if isinstance(names, list) else None
        return first if isinstance(first, str) else None

    @property
    def model_type(self) -> str | None:
        """The ``model_type`` of the top level."""
        value = self.raw.get("model_type")
        return value if isinstance(value, str) else None

    @cached_property
    def text_levels(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """Every level that may describe the language model: ``("", top)`` first, then nested ones by dotted path."""
        return tuple(_levels(self.raw))

    @property
    def tie_flags(self) -> dict[str, bool]:
        """The tie flag of each level that states one, by dotted path (``""`` is the top level)."""
        keys = (*TIE_ALIASES, TIE_KEY)
        stated = (
            (path, next((level[key] for key in keys if isinstance(level.get(key), bool)), None))
            for path, level in self.text_levels
        )
        return {path: flag for path, flag in stated if flag is not None}

    def text_int(self, *keys: str) -> int | None:
        """Return the first of ``keys`` that holds an integer, innermost text config first."""
        for _, level in reversed(self.text_levels):
            for key in keys:
                if type(level.get(key)) is int:
                    return int(level[key])
        return None

    @property
    def vocab_size(self) -> int | None:
        """Rows of the embedding, as the config states them."""
        return self.text_int("vocab_size", "padded_vocab_size", "n_vocab")

    @property
    def hidden_size(self) -> int | None:
        """Columns of the head, as the config states them."""
        return self.text_int("hidden_size", "n_embd", "d_model")

    @property
    def num_hidden_layers(self) -> int | None:
        """Decoder layers, without draft layers."""
        return self.text_int("num_hidden_layers", "n_layer", "num_layers", "n_layers")

    @property
    def quantization(self) -> Mapping[str, Any] | None:
        """The quantization config: at the top level as engines read it, else in a nested text config."""
        for _, level in self.text_levels:
            for key in QUANTIZATION_KEYS:
                if isinstance(level.get(key), dict) and level[key]:  # an empty one says nothing
                    return dict(level[key])
        return None


def dotted(path: str, key: str) -> str:
    """Return the dotted path of a key in the level of a config at ``path``, which is ``""`` for the top level."""
    return f"{path}.{key}" if path else key


def parse_config(raw: bytes) -> ModelConfig:
    """Parse the JSON of a model's configuration.

    Raises:
        CheckpointError: not JSON, or not a JSON object.

    """
    try:
        data = json.loads(raw.decode("utf-8"))  # as text: a byte order mark is refused, as every loader does
        refuse_surrogates(data, raw)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{CONFIG_NAME}: not JSON ({error})") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{CONFIG_NAME}: not a JSON object")
    return ModelConfig(data)


def _levels(top: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    waiting = [("", top)]
    while waiting:
        path, level = waiting.pop()
        yield path, level
        nested = [(dotted(path, key), level.get(key)) for key in TEXT_CONFIG_KEYS]
        waiting += [(inner, value) for inner, value in reversed(nested) if isinstance(value, dict)]
