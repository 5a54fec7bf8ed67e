"""Blocks of FP8 scales that the parts of a fused layer cut: vLLM builds no such layer."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from ctq.engines.vllm.layers import FusedMoE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctq.engines.vllm.layers import LayerSpec
    from ctq.inspect.facts.entries import Entry

_FINEST = 32
"""Rows of the smallest blocks that vLLM makes of larger ones for experts (``fused_moe/oracle/fp8.py:288``)."""


def cut_by_blocks(entry: Entry, layer: LayerSpec, together: Sequence[str], rows: int) -> str | None:
    """Say what of a part of a fused layer is cut by blocks of so many ``rows``; the last part may be.

    ``together`` are the names of the parts of a fused layer that is none of experts.

    Source: vLLM 0.32.0 ``quantization/utils/fp8_utils.py:1296`` (``validate_fp8_block_shape``).
    """
    weight = entry.modules.parts.get("weight")
    if weight is None or weight.shape[0] % rows == 0:
        return None
    cut = layer.projections[:-1] if isinstance(layer, FusedMoE) else together[:-1]
    if entry.modules.leaf not in cut or (isinstance(layer, FusedMoE) and gcd(weight.shape[0], rows) >= _FINEST):
        return None
    return f"{weight.shape[0]} rows in a layer that is fused with others, which blocks of {rows} do not divide"
