"""GPTQ and AWQ: which layers their configs have quantized.

Source: vLLM 0.32.0 ``layers/quantization/auto_gptq.py``, ``utils/gptq_utils.py``, ``auto_awq.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.layers import FusedMoE, LinearBase, ParallelLMHead
from ctq.engines.vllm.methods.layout import WHOLE_ROW, awq_layout, gptq_layout, is_group_size
from ctq.engines.vllm.methods.skipped import by_parts, is_named, is_skipped
from ctq.recipe.match import REGEX_PREFIX, matches_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ctq.engines.vllm.layers import LayerSpec
    from ctq.engines.vllm.methods.layout import Layout

_BITS = (4, 8)
_WITHOUT, _WITH = "-:", "+:"
"""How the rules of `dynamic` begin that leave layers dense, and that say how they are quantized."""


@dataclass(frozen=True, kw_only=True)
class Gptq:
    """GPTQ's config; ``listed`` are the layers that it names as quantized, by parts of names too, or that the files hold so."""

    bits: int
    group_size: int
    lm_head: bool
    dynamic: Mapping[str, Any]
    listed: Callable[[], Collection[str]]
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def layout(self, layer: LayerSpec, prefix: str) -> Layout | None:
        """Return how a layer has to lie in the files; of experts only `dynamic` is asked."""
        if not isinstance(layer, LinearBase | FusedMoE) and not (isinstance(layer, ParallelLMHead) and self.lm_head):
            return None
        is_quantized = isinstance(layer, FusedMoE) or self._is_listed(prefix)
        rule = self._rule(prefix)
        if rule is None or not is_quantized:
            return None
        bits, group_size = _number(rule, "bits", self.bits), _number(rule, "group_size", self.group_size)
        if bits not in _BITS:
            raise DispatchError("ValueError", f"dynamic has {prefix} in {bits} bits, which it does not take")
        if not is_group_size(group_size):
            raise DispatchError("ValueError", f"dynamic has {prefix} in groups of {group_size}, which it does not take")
        return gptq_layout(bits, group_size)

    def _rule(self, prefix: str) -> Mapping[str, Any] | None:
        """Return what `dynamic` says of a layer; None where it leaves the layer dense."""
        for pattern, rule in self.dynamic.items():
            if matches_name(prefix, f"{REGEX_PREFIX}{pattern.removeprefix(_WITHOUT).removeprefix(_WITH)}"):
                return None if pattern.startswith(_WITHOUT) else rule
        return {}

    def _is_listed(self, prefix: str) -> bool:
        names, leaf = self._names, prefix.rpartition(".")[2]
        if not names:
            return True
        if leaf in self.fused:
            return by_parts(prefix, self.fused[leaf], lambda part: is_named(part, names, "substring"))
        return is_named(prefix, names, "substring")

    @cached_property
    def _names(self) -> Collection[str]:
        return self.listed()


@dataclass(frozen=True, kw_only=True)
class Awq:
    """AWQ's config; ``skipped`` are parts of the names of layers that it leaves dense, or those that the files hold so."""

    bits: int
    group_size: int
    lm_head: bool
    skipped: Callable[[], Collection[str]]
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def layout(self, layer: LayerSpec, prefix: str) -> Layout | None:
        """Return how a layer has to lie in the files."""
        if not isinstance(layer, LinearBase | FusedMoE) and not (isinstance(layer, ParallelLMHead) and self.lm_head):
            return None
        is_dense = (
            is_named(prefix, self._names, "substring")
            if isinstance(layer, FusedMoE)
            else is_skipped(prefix, self._names, self.fused, "substring")
        )
        if is_dense:
            return None
        if isinstance(layer, FusedMoE) and self.group_size == WHOLE_ROW:
            raise DispatchError("RuntimeError", f"experts ({prefix}) take no AWQ with one scale to a row")
        return awq_layout(self.bits, self.group_size)

    @cached_property
    def _names(self) -> Collection[str]:
        return self.skipped()


def _number(rule: object, key: str, default: int) -> int:
    """Read an override of a rule, of which vLLM overlooks what is no integer."""
    value = rule.get(key, default) if isinstance(rule, dict) else default
    return value if type(value) is int else default
