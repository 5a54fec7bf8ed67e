"""Blocks of FP8 scales that the parts of a fused layer cut: vLLM builds no such layer."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from ctq.engines.vllm.layers import FusedMoE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.inspect.facts.body import EngineLayer
    from ctq.inspect.facts.entries import Entry

_FINEST = 32
"""Rows of the smallest blocks that vLLM makes of larger ones for experts (``fused_moe/oracle/fp8.py:288``)."""


def cut_by_blocks(entry: Entry, layer: EngineLayer, rows: int, fused: Mapping[str, tuple[str, ...]]) -> str | None:
    """Say what of a part of a fused layer is cut by blocks of so many ``rows``; the last part may be.

    Source: vLLM 0.32.0 ``quantization/utils/fp8_utils.py:1296`` (``validate_fp8_block_shape``).
    """
    weight = entry.modules.parts.get("weight")
    if weight is None or weight.shape[0] % rows == 0:
        return None
    is_experts = isinstance(layer.spec, FusedMoE)
    together = fused.get(layer.prefix.rpartition(".")[2], ())
    cut = layer.spec.projections[:-1] if isinstance(layer.spec, FusedMoE) else together[:-1]
    if entry.modules.leaf not in cut or (is_experts and gcd(weight.shape[0], rows) >= _FINEST):
        return None
    return f"{weight.shape[0]} rows in a layer that is fused with others, which blocks of {rows} do not divide"
