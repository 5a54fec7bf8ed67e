"""What loaders of vLLM pass over without a word, although their model has no place for it.

The data is made by ``benchmarks/learn/passed_over.py``, which offers single tensors to the loaders of vLLM 0.32.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ctq.engines.data_file import of_architecture

if TYPE_CHECKING:
    from ctq.engines.skeletons.skeleton import Skeleton


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What the loader of a class leaves unread.

    ``experts`` says that it leaves what it does not know beside the layers of experts, ``expert_biases`` biases of those,
    ``biases`` those of layers that the model does not have (of others nearly every loader does), ``drafts`` draft layers beside
    those of the body; ``endings`` are those of names within modules that the model has.
    """

    experts: bool = False
    expert_biases: bool = False
    biases: bool = False
    drafts: bool = False
    endings: tuple[str, ...] = ()


def passed_over(skeleton: Skeleton) -> PassedOver:
    """Return what the loader of an architecture passes over; of a wrapper around a text model of its own that one's does."""
    return _of_class(skeleton.text or skeleton.architecture)


@lru_cache(maxsize=16)
def _of_class(architecture: str) -> PassedOver:
    found = of_architecture("passed_over", architecture, {})
    return PassedOver(**{**found, "endings": tuple(found.get("endings", ()))})
