"""AutoRound: which layers its config has quantized, in the layouts of GPTQ and AWQ.

Source: vLLM 0.32.0 ``layers/quantization/inc/inc.py``, ``inc/config_parser.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.layers import FusedMoE, LinearBase, ParallelLMHead
from ctq.engines.vllm.methods.layout import ANYTHING, awq_layout, gptq_layout
from ctq.recipe.match import REGEX_PREFIX, matches_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctq.engines.vllm.layers import LayerSpec
    from ctq.engines.vllm.methods.layout import Layout

_DENSE: Final = 16
"""Bits of layers that are not quantized."""
_SPECIAL: Final = frozenset(r"*+?^$()[]{}|\\")
"""Characters by which a key is taken for a regular expression."""
_BITS: Final = (4, 8)


@dataclass(frozen=True, kw_only=True)
class AutoRound:
    """The config; ``own`` has what single layers have of their own, ``blocks`` are beginnings of names of what is quantized."""

    bits: int
    group_size: int
    is_awq: bool
    own: Mapping[str, Mapping[str, Any]]
    blocks: Sequence[str]
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def layout(self, layer: LayerSpec, prefix: str) -> Layout | None:
        """Return how a layer has to lie in the files; a head where the config names it, or its block."""
        if not isinstance(layer, LinearBase | ParallelLMHead | FusedMoE):
            return None
        if any(
            self.own[name].get("bits", _DENSE) >= _DENSE for name in (prefix, f"model.{prefix}") if name in self.own
        ):
            return None
        bits, group_size = self._resolved(layer, prefix)
        if bits >= _DENSE:
            return None
        if bits not in _BITS:
            return ANYTHING
        return awq_layout(bits, group_size) if self.is_awq else gptq_layout(bits, group_size)

    def _resolved(self, layer: LayerSpec, prefix: str) -> tuple[int, int]:
        name = next((name for name in self.own if prefix == name or prefix.endswith(f".{name}")), None)
        if name is not None:
            return self._of(self.own[name], is_quantized=True)
        is_quantized = not isinstance(layer, ParallelLMHead)
        if self.blocks:
            is_quantized = prefix.startswith(tuple(self.blocks))
        for key, parts in self.fused.items():
            names = [prefix.replace(key, part) for part in parts] if prefix.count(key) == 1 else []
            if any(self._own(name) is not None for name in names):
                found = {self._of(self._own(name) or {}, is_quantized=is_quantized) for name in names}
                if len(found) > 1:
                    raise DispatchError("ValueError", f"extra_config has the parts of {prefix} in several ways")
                return found.pop()
        return self._of(self._own(prefix) or {}, is_quantized=is_quantized)

    def _own(self, name: str) -> Mapping[str, Any] | None:
        """Return what a layer has of its own, by its name or by a regular expression that is found in it."""
        if name in self.own:
            return self.own[name]
        patterns = (pattern for pattern in self.own if not _SPECIAL.isdisjoint(pattern))
        return next((self.own[pattern] for pattern in patterns if _is_found(pattern, name)), None)

    def _of(self, own: Mapping[str, Any], *, is_quantized: bool) -> tuple[int, int]:
        bits, group_size = (
            own.get("bits", self.bits if is_quantized else _DENSE),
            own.get("group_size", self.group_size),
        )
        return bits, group_size


def _is_found(pattern: str, name: str) -> bool:
    anchored = pattern if pattern.startswith("^") else f".*(?:{pattern})"
    return matches_name(name, f"{REGEX_PREFIX}{anchored}")
