"""Names that loaders know: made by ``benchmarks/learn/known_names.py`` from transformers 5.19 and vLLM 0.32."""

from __future__ import annotations

from functools import lru_cache

from ctq.engines.data_file import read_data
from ctq.engines.vllm_models.heads import architectures


@lru_cache(maxsize=1)
def model_types() -> frozenset[str]:
    """Return the values of ``model_type``."""
    return frozenset(read_data("known_names")["model_types"])


@lru_cache(maxsize=1)
def known_architectures() -> frozenset[str]:
    """Return the architectures, those of every known release of vLLM among them."""
    return frozenset(read_data("known_names")["architectures"]) | frozenset(architectures())


@lru_cache(maxsize=1)
def registered_architectures() -> frozenset[str]:
    """Return what the newest known vLLM registers, models that pool among them."""
    return frozenset(read_data("known_names")["registered"])


@lru_cache(maxsize=1)
def base_models() -> frozenset[str]:
    """Return the names of transformers' base models, one for each model type."""
    return frozenset(read_data("known_names")["chosen"].values())


@lru_cache(maxsize=1)
def activations() -> frozenset[str]:
    """Return the names of activation functions, in lower case."""
    return frozenset(read_data("known_names")["activations"])


@lru_cache(maxsize=1)
def quant_methods() -> frozenset[str]:
    """Return the values of ``quant_method``, in lower case."""
    return frozenset(read_data("known_names")["quant_methods"])
