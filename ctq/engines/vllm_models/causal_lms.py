"""Text architectures by model type, as transformers has them."""

from __future__ import annotations

from ctq.engines.data_file import read_data


def causal_lm_of(model_type: str | None) -> str | None:
    """Return the text architecture of a model type, as engines choose it when the nested config names none.

    Source: transformers 5.19 ``MODEL_FOR_CAUSAL_LM_MAPPING_NAMES``, which vLLM's ``with_hf_config`` reads (config/vllm.py).
    """
    name = read_data("vllm_heads")["causal_lm_of_model_type"].get(model_type or "")
    return str(name) if name else None


def causal_lms() -> frozenset[str]:
    """Return the text architectures that transformers has."""
    return frozenset(read_data("vllm_heads")["causal_lm_of_model_type"].values())
