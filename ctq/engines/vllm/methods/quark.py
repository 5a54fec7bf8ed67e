"""Quark: which layers its config has quantized, and how.

Source: vLLM 0.32.0 ``layers/quantization/quark/quark.py``, ``quark/utils.py``, ``quark/schemes/``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Final

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.layers import FusedMoE, LinearBase
from ctq.engines.vllm.methods.layout import (
    ANYTHING,
    fp8_layout,
    fp8_row_layout,
    int8_layout,
    mxfp4_layout,
)
from ctq.engines.vllm.methods.skipped import by_parts
from ctq.recipe.match import REGEX_PREFIX, matches_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctq.engines.vllm.layers import LayerSpec
    from ctq.engines.vllm.methods.layout import Layout

_TENSOR: Final = "per_tensor"
_ROW: Final = "per_channel"


@dataclass(frozen=True, kw_only=True)
class Quark:
    """The config; ``own`` has the settings of layers by name or pattern, ``every`` those of all others."""

    excluded: Sequence[str]
    own: Mapping[str, Mapping[str, Any]]
    every: Mapping[str, Any]
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def layout(self, layer: LayerSpec, prefix: str) -> Layout | None:
        """Return how a layer has to lie in the files; heads are always dense."""
        is_experts = isinstance(layer, FusedMoE)
        if not isinstance(layer, LinearBase | FusedMoE) or self._is_excluded(prefix, is_experts=is_experts):
            return None
        settings = self._settings(prefix)
        return _layout(settings.get("weight"), settings.get("input_tensors"), is_experts=is_experts)

    def _is_excluded(self, prefix: str, *, is_experts: bool) -> bool:
        if is_experts and any(
            name == prefix or name.startswith(f"{prefix}.")
            for name in self.excluded
            if not name.startswith(REGEX_PREFIX)
        ):
            return True
        if self._is_named(prefix):
            return True
        leaf = prefix.rpartition(".")[2]
        return leaf in self.fused and by_parts(prefix, self.fused[leaf], self._is_named)

    def _is_named(self, name: str) -> bool:
        return any(matches_name(name, pattern) for pattern in self.excluded)

    def _settings(self, prefix: str) -> Mapping[str, Any]:
        leaf = prefix.rpartition(".")[2]
        if leaf not in self.fused:
            return self._own(prefix)
        found = [
            self.every if part == leaf else self._own(prefix.replace(leaf, part)) for part in self.fused[leaf]
        ] or [self.every]
        if any(settings != found[0] for settings in found):
            raise DispatchError("ValueError", f"layer_quant_config has the parts of {prefix} in several ways")
        return found[0]

    def _own(self, name: str) -> Mapping[str, Any]:
        return next(
            (
                settings
                for pattern, settings in self.own.items()
                if (fnmatch(name, pattern) if "*" in pattern else name in pattern)
            ),
            self.every,
        )


def _layout(weight: object, inputs: object, *, is_experts: bool) -> Layout:
    """Return the layout of the schemes that are known here."""
    weight, inputs = _single(weight), _single(inputs)
    if not isinstance(weight, dict):
        return ANYTHING
    dtype, scheme = weight.get("dtype"), weight.get("qscheme")
    if dtype == "fp4" and (scheme, weight.get("group_size"), weight.get("scale_format")) == ("per_group", 32, "e8m0"):
        return mxfp4_layout()
    if not isinstance(inputs, dict) or inputs.get("dtype") != dtype or scheme not in (_TENSOR, _ROW):
        return ANYTHING
    static = not inputs.get("is_dynamic")
    if dtype == "int8":
        return int8_layout(by_row=scheme == _ROW, static=static, is_experts=is_experts)
    if dtype == "fp8_e4m3" and scheme == _TENSOR:
        return fp8_layout(static=static)
    if dtype == "fp8_e4m3" and not static:
        return fp8_row_layout()
    return ANYTHING


def _single(settings: object) -> object:
    return settings[0] if isinstance(settings, list) and len(settings) == 1 else settings
