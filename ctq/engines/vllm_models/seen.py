"""What vLLM 0.32.0 was seen to do with an architecture: tensors that its class takes, drops or refuses, layers that it quantizes.

Each fact has a file of its own in ``data/``, made by the script of the same name in ``benchmarks/learn/``.
"""

from __future__ import annotations

from functools import lru_cache

from ctq.engines.data_file import of_architecture, read_data


@lru_cache(maxsize=1)
def overlooking_architectures() -> frozenset[str]:
    """Return the architectures whose class leaves scales of the key-value cache unread in a dense model; others refuse them."""
    return frozenset(read_data("cache_scales")["overlooked"])


@lru_cache(maxsize=1)
def dropping_architectures() -> frozenset[str]:
    """Return the architectures that have no head and look away from its tensors; others refuse them."""
    return frozenset(read_data("dropped_heads")["architectures"])


def refuses_surplus_experts(architecture: str | None) -> bool:
    """Tell an architecture whose class was seen to refuse experts beyond the number of the config; most leave them unread."""
    return architecture in read_data("surplus_experts")["refused"]


def builds_quantized(architecture: str | None, kind: str) -> bool | None:
    """Tell whether dense matrices of a kind (``router``, ``tower``, ...) are built quantized; None where nothing was seen.

    So it is where a class target reaches them and ``ignore`` does not.
    """
    seen: dict[str, bool] = of_architecture("unignored_layers", architecture, {})
    return seen.get(kind)
