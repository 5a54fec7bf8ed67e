"""Whether vLLM builds dense matrices of a kind quantized where a class target reaches them and `ignore` does not.

The data is made by ``benchmarks/unignored_layers.py``, from loads by vLLM 0.32.0.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files


def builds_quantized(architecture: str | None, kind: str) -> bool | None:
    """Return what was seen of a kind of layers (``router``, ``tower``, ...) in an architecture; None where nothing was."""
    return _data().get(architecture or "", {}).get(kind)


@lru_cache(maxsize=1)
def _data() -> dict[str, dict[str, bool]]:
    text = files("ctq.engines").joinpath("data/unignored_layers.json").read_text(encoding="utf-8")
    architectures: dict[str, dict[str, bool]] = json.loads(text)["architectures"]
    return architectures
