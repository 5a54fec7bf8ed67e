"""ModelOpt: which layers its configs have quantized, and by which of its algorithms.

Source: vLLM 0.32.0 ``layers/quantization/modelopt.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Final

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.layers import FusedMoE, LinearBase, ParallelLMHead
from ctq.engines.vllm.methods.layout import (
    ANYTHING,
    fp8_layout,
    fp8_row_layout,
    modelopt_block_layout,
    mxfp8_layout,
    nvfp4_layout,
)
from ctq.engines.vllm.methods.skipped import is_skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ctq.engines.vllm.layers import LayerSpec
    from ctq.engines.vllm.methods.layout import Layout

_TOWERS: Final = ("vision_tower", "vision_model", "vit_large_projector")
"""What names of layers hold that are dense whatever the config says."""
_INSIDE: Final = "language_model."
_LAYOUTS: Final[Mapping[str, Callable[[int], Layout]]] = {
    "FP8": lambda _: fp8_layout(static=True),
    "FP8_PER_CHANNEL_PER_TOKEN": lambda _: fp8_row_layout(),
    "FP8_PB_WO": lambda _: modelopt_block_layout(),
    "NVFP4": lambda group_size: nvfp4_layout(group_size, static=True),
    "W4A16_NVFP4": lambda group_size: nvfp4_layout(group_size, static=False),
    "MXFP8": lambda _: mxfp8_layout(),
}
"""How each algorithm has a linear layer in the files, by the group size of the config."""
ALGORITHMS: Final = frozenset(_LAYOUTS)
_OF_EXPERTS: Final = frozenset({"FP8", "NVFP4", "W4A16_NVFP4"})
"""Algorithms that have experts as they have linear layers."""


@dataclass(frozen=True, kw_only=True)
class ModelOpt:
    """The config; ``algorithms`` are those of single layers where they are of several kinds, else ``algorithm`` is that of all.

    ``excluded`` are names, parts of names and patterns of shells.
    """

    algorithm: str
    group_size: int
    excluded: Sequence[str]
    algorithms: Mapping[str, str] = field(default_factory=dict)
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def layout(self, layer: LayerSpec, prefix: str) -> Layout | None:
        """Return how a layer has to lie in the files; heads are asked about as linear layers are."""
        if not isinstance(layer, LinearBase | ParallelLMHead | FusedMoE) or self._is_excluded(prefix):
            return None
        if not self.algorithms and any(word in prefix for word in _TOWERS):
            return None
        algorithm = self._algorithm_of(prefix) if self.algorithms else self.algorithm
        if algorithm is None:
            return None
        if algorithm not in _LAYOUTS or (isinstance(layer, FusedMoE) and algorithm not in _OF_EXPERTS):
            return ANYTHING
        return _LAYOUTS[algorithm](self.group_size)

    def _is_excluded(self, prefix: str) -> bool:
        if not self.excluded:
            return False
        inside = prefix.removeprefix(_INSIDE)
        return (
            is_skipped(prefix, self.excluded, self.fused, "exact")
            or any(name != prefix and (name in prefix or name in inside) for name in self.excluded)
            or any(fnmatch(prefix, name) for name in self.excluded)
        )

    def _algorithm_of(self, prefix: str) -> str | None:
        """Return the algorithm of a layer where the config names those of single ones; None where it is left dense."""
        names = list(_candidates(prefix))
        own = next((self.algorithms[name] for name in names if name in self.algorithms), None)
        if own is not None:
            return own
        leaf = prefix.rpartition(".")[2]
        shards = [f"{name.rpartition('.')[0]}.{part}" for name in names for part in self.fused.get(leaf, ())]
        found = {self.algorithms[name] for name in shards if name in self.algorithms}
        if len(found) > 1:
            raise DispatchError(
                "ValueError", f"the parts of {prefix} are of several algorithms: {', '.join(sorted(found))}"
            )
        if found:
            return found.pop()
        parents = [f"{name}." for name in names]
        if prefix.endswith(".experts"):
            parents.append(prefix.removesuffix("experts"))
        return next(
            (algorithm for parent in parents for name, algorithm in self.algorithms.items() if name.startswith(parent)),
            None,
        )


def _candidates(prefix: str) -> Iterator[str]:
    """Yield the names under which a config may have a layer."""
    yield prefix
    if prefix.endswith(".lm_head"):
        yield "lm_head"
    for before, after in (
        ("language_model.model.", "model.language_model."),
        ("model.language_model.", "language_model.model."),
    ):
        if prefix.startswith(before):
            yield after + prefix.removeprefix(before)
            return
