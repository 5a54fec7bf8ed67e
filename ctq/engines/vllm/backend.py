"""Architectures without a class of their own in vLLM that it was seen to load through its Transformers backend.

The data is made by ``benchmarks/learn/backend_architectures.py``.
"""

from __future__ import annotations

from functools import lru_cache

from ctq.engines.data_file import read_data


def is_served_by_backend(architecture: str | None) -> bool:
    """Tell whether the backend serves an architecture, registered or not."""
    return architecture in backend_architectures() or architecture in read_data("backend_architectures")["registered"]


@lru_cache(maxsize=1)
def backend_architectures() -> frozenset[str]:
    """Return the architectures that were seen."""
    return frozenset(read_data("backend_architectures")["architectures"])


@lru_cache(maxsize=1)
def refused_architectures() -> frozenset[str]:
    """Return the architectures without a class of their own that the backend was seen to refuse, whatever their config says."""
    return frozenset(read_data("backend_architectures")["refused"])
