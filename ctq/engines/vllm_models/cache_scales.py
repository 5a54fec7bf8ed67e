"""Scales of the key-value cache that nothing takes: made by ``benchmarks/learn/cache_scales.py`` from answers of vLLM 0.32.0."""

from __future__ import annotations

from functools import lru_cache

from ctq.engines.data_file import read_data


@lru_cache(maxsize=1)
def overlooking_architectures() -> frozenset[str]:
    """Return the architectures whose class leaves such scales unread in a dense model; others refuse them."""
    return frozenset(read_data("cache_scales")["overlooked"])
