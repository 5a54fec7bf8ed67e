"""Architectures whose class in vLLM drops a head's tensors unread: made by ``benchmarks/learn/dropped_heads.py`` from sources."""

from __future__ import annotations

from functools import lru_cache

from ctq.engines.data_file import read_data


@lru_cache(maxsize=1)
def dropping_architectures() -> frozenset[str]:
    """Return the architectures that have no head and look away from its tensors; others refuse them."""
    return frozenset(read_data("dropped_heads")["architectures"])
