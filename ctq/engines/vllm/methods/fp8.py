"""FP8 as transformers, AutoFP8 and DeepSeek write it: which layers a config has quantized.

Source: vLLM 0.32.0 ``layers/quantization/fp8.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ctq.engines.vllm.layers import FusedMoE, LinearBase
from ctq.engines.vllm.methods.layout import fp8_block_layout, fp8_layout
from ctq.engines.vllm.methods.skipped import is_skipped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ctq.engines.vllm.layers import LayerSpec
    from ctq.engines.vllm.methods.layout import Layout


@dataclass(frozen=True, kw_only=True)
class Fp8:
    """The config; ``block`` is None where a weight has one scale, ``skipped`` are full names of layers that it leaves dense."""

    static: bool
    block: tuple[int, int] | None
    skipped: Collection[str]
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def layout(self, layer: LayerSpec, prefix: str) -> Layout | None:
        """Return how a layer has to lie in the files; heads are always dense."""
        if not isinstance(layer, LinearBase | FusedMoE) or is_skipped(prefix, self.skipped, self.fused, "exact"):
            return None
        return fp8_layout(static=self.static) if self.block is None else fp8_block_layout(self.block)
