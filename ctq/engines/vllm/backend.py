"""Architectures without a class of their own in vLLM: those that its Transformers backend was seen to load or to refuse.

The data is made by ``benchmarks/learn/backend_architectures.py``.
"""

from __future__ import annotations

from functools import lru_cache

from ctq.engines.data_file import read_data
from ctq.engines.versions import version_key
from ctq.engines.vllm.learnt_with import LEARNT_WITH


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


def refused_by_backend(architecture: str | None, version: str) -> str | None:
    """Say why a release of vLLM serves no checkpoint of an architecture, whatever its config says; None where that was not seen."""
    if architecture not in refused_architectures() or version_key(version) < version_key(LEARNT_WITH):
        return None
    return f"vLLM has no class for {architecture}, and its Transformers backend cannot build it"
