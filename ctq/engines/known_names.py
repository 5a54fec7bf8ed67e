"""Names that loaders know: made by ``benchmarks/known_names.py`` from transformers 5.19 and vLLM 0.32."""

from __future__ import annotations

from functools import lru_cache

from ctq.engines.data_file import read_data
from ctq.engines.heads import architectures, head_support

_BARE = "Model"
_GENERATING = ("ForCausalLM", "ForConditionalGeneration")


@lru_cache(maxsize=1)
def model_types() -> frozenset[str]:
    """Return the values of ``model_type``."""
    return frozenset(read_data("known_names")["model_types"])


@lru_cache(maxsize=1)
def known_architectures() -> frozenset[str]:
    """Return the architectures, those of every known release of vLLM among them."""
    return frozenset(read_data("known_names")["architectures"]) | frozenset(architectures())


def is_bare(architecture: str) -> bool:
    """Tell the name of a model without its head, which no engine takes for another (`Qwen2_5_VLModel`)."""
    stem = architecture.removesuffix(_BARE)
    whole = (f"{stem}{task}" for task in _GENERATING)
    return (
        stem != architecture
        and head_support(architecture) is None
        and any(name in known_architectures() for name in whole)
    )


@lru_cache(maxsize=1)
def activations() -> frozenset[str]:
    """Return the names of activation functions, in lower case."""
    return frozenset(read_data("known_names")["activations"])


def chosen_architecture(model_type: str | None) -> str | None:
    """Return the architecture that vLLM takes where a config names none: that of transformers' base model of the type.

    Source: vLLM 0.32.0 transformers_utils/config.py:877 and model_executor/models/registry.py, where many base models are
    registered as the class that generates.
    """
    name = read_data("known_names")["chosen"].get(model_type or "")
    return str(name) if name else None


def has_a_type(architecture: str | None) -> bool:
    """Tell an architecture whose base model is that of some model type."""
    stem = (architecture or "").removesuffix(_GENERATING[0])
    return f"{stem}{_BARE}" in read_data("known_names")["chosen"].values()


@lru_cache(maxsize=1)
def quant_methods() -> frozenset[str]:
    """Return the values of ``quant_method``, in lower case."""
    return frozenset(read_data("known_names")["quant_methods"])
