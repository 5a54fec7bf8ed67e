"""What the files lack of the experts of a layer: routers, shared experts, and experts beside a router."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.modules.grouping import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.presence.stands_for import Present

_ROUTERS = ("gate", "router")
_SHARED_COUNTS = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "shared_expert_intermediate_size")


def missing_routers(skeleton: Skeleton, present: Present) -> Iterator[str]:
    """Yield routers that layers with experts lack, and experts that layers with a router lack: not every layer may have them."""
    for name, slot in skeleton.tensors.items():
        parent, _, leaf = name.removesuffix(".weight").rpartition(".")
        if slot.always or leaf not in _ROUTERS or not name.endswith(".weight"):
            continue
        experts = {other: found for other, found in present.items() if other.startswith(f"{parent}.experts.")}
        layers, routed = frozenset().union(*experts.values()), present.get(name, frozenset())
        for layer in sorted(layers - routed):
            yield numbered(name, layer)
        known = [other for other in skeleton.tensors if other.startswith(f"{parent}.experts.")]
        for layer in sorted(routed - layers) if known else ():
            yield numbered(numbered(known[0], layer), 0)


def missing_shared_experts(config: ModelConfig, skeleton: Skeleton, present: Present) -> Iterator[str]:
    """Yield shared experts that layers with experts lack, where the config says that there are some."""
    if not config.text_int(*_SHARED_COUNTS):
        return
    for name, slot in skeleton.tensors.items():
        parent, shared, _ = name.partition(".shared_expert")
        if slot.always or not shared or not name.endswith(".weight"):
            continue
        experts = [found for other, found in present.items() if other.startswith(f"{parent}.experts.")]
        for layer in sorted(frozenset[int]().union(*experts) - present.get(name, frozenset())):
            yield numbered(name, layer)
