"""Other names under which vLLM loads the tensors of a known architecture: two names that lead to one place are one tensor to it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ctq.engines.engine_names import engine_names
from ctq.engines.skeletons import skeleton_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.engines.skeletons import Skeleton


def own_name(skeleton: Skeleton, name: str) -> str:
    """Return the name in the skeleton of a tensor, by template (`w1` for Mixtral's `gate_proj`); itself where none is."""
    if name in skeleton.tensors:
        return name
    return _by_place(skeleton.architecture).get(_place(skeleton.architecture, name), name)


@lru_cache(maxsize=16)
def _by_place(architecture: str) -> Mapping[str, str]:
    return {_place(architecture, name): name for name in skeleton_named(architecture).tensors}


def _place(architecture: str, name: str) -> str:
    names = engine_names(architecture)
    found = names.module(name.replace("#", "0").removesuffix(".weight")) if names is not None else None
    return found or name
