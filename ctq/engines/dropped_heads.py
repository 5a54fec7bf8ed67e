"""Architectures whose class in vLLM drops a head's tensors unread: made by ``benchmarks/dropped_heads.py`` from its sources."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=1)
def dropping_architectures() -> frozenset[str]:
    """Return the architectures that have no head and look away from its tensors; others refuse them."""
    text = files("ctq.engines").joinpath("data/dropped_heads.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text)["architectures"])
