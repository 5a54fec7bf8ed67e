"""Architectures without a class of their own in vLLM that it was seen to load through its Transformers backend.

The data is made by ``benchmarks/backend_architectures.py``.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files

SEEN_WITH = "0.32.0"
"""The release of vLLM that loaded them."""


@lru_cache(maxsize=1)
def backend_architectures() -> frozenset[str]:
    """Return the architectures that were seen."""
    text = files("ctq.engines").joinpath("data/backend_architectures.json").read_text(encoding="utf-8")
    return frozenset(json.loads(text)["architectures"])
