"""What the files lack of the experts of a layer: routers, shared experts, and experts beside a router."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.engines.configs.fields import assumed, stated
from ctq.recipe.template import EXPERTS, numbered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.presence.survey import Survey

_ROUTERS = ("gate", "router")
_SHARED_COUNTS = (
    *("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"),
    *("shared_expert_intermediate_size", "shared_intermediate_size"),
)
_SHARED = re.compile(r"\.shared_(expert|mlp)")
_BLOCKS = (EXPERTS, ".block_sparse_moe.")
"""What follows the name of that which has a shared expert, where it has routed ones."""


def missing_routers(asked: Survey) -> Iterator[str]:
    """Yield routers that layers with experts lack, and experts that layers with a router lack: not every layer may have them."""
    tensors = asked.skeleton.tensors
    owners = dict.fromkeys(name.partition(EXPERTS)[0] for name in tensors if EXPERTS in name)
    for owner in owners:
        known = [name for name in tensors if name.startswith(f"{owner}{EXPERTS}")]
        layers = frozenset[int]().union(*map(asked.layers, known))
        for router in (name for name in tensors if _is_router(name, owner)):
            routed = asked.layers(router)
            if not tensors[router].always:
                yield from (numbered(router, layer) for layer in sorted(layers - routed))
            yield from (numbered(numbered(known[0], layer), 0) for layer in sorted(routed - layers))


def _is_router(name: str, owner: str) -> bool:
    return name.endswith(".weight") and any(name.startswith(f"{owner}.{router}.") for router in _ROUTERS)


def missing_shared_experts(asked: Survey) -> Iterator[str]:
    """Yield shared experts that layers with experts lack, where the config says that there are some, or its class counts none."""
    config, skeleton = asked.config, asked.skeleton
    values = [stated(config, key, assumed(config, key)) for key in _SHARED_COUNTS]
    is_uncounted = all(value is None for value in values)
    if not is_uncounted and not config.text_int(*_SHARED_COUNTS):
        return
    for name, slot in skeleton.tensors.items():
        shared = _SHARED.search(name)
        if slot.always or shared is None or not name.endswith(".weight"):
            continue
        parent = name[: shared.start()]
        if is_uncounted and not _come_together(parent, skeleton):
            continue
        experts = [
            found for other, found in asked.present.items() if other.startswith(tuple(parent + one for one in _BLOCKS))
        ]
        for layer in sorted(frozenset[int]().union(*experts) - asked.layers(name)):
            yield numbered(name, layer)


def _come_together(parent: str, skeleton: Skeleton) -> bool:
    """Tell a block whose experts were learnt to be wherever its shared expert is (Llama 4)."""
    of_experts = (slot for name, slot in skeleton.tensors.items() if name.startswith(f"{parent}{EXPERTS}"))
    return any((slot.beside or "").startswith(f"{parent}.shared_expert") for slot in of_experts)
