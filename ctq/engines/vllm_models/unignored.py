"""Whether vLLM builds dense matrices of a kind quantized where a class target reaches them and `ignore` does not.

The data is made by ``benchmarks/learn/unignored_layers.py``, from loads by vLLM 0.32.0.
"""

from __future__ import annotations

from ctq.engines.data_file import read_data


def builds_quantized(architecture: str | None, kind: str) -> bool | None:
    """Return what was seen of a kind of layers (``router``, ``tower``, ...) in an architecture; None where nothing was."""
    seen: dict[str, bool] = read_data("unignored_layers")["architectures"].get(architecture or "", {})
    return seen.get(kind)
