"""Tensors in the layers of a wrapper's towers that its architecture does not have: which ones vLLM refuses, and which it takes.

The data is made by ``benchmarks/learn/tower_strangers.py`` from loads by vLLM 0.32.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.data_file import of_architecture

if TYPE_CHECKING:
    from collections.abc import Mapping

_STRANGER = ".wonder.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strangers:
    """What a list of layers refuses and takes, as templates of what stands behind the number of a layer."""

    refused: frozenset[str]
    taken: frozenset[str]

    @property
    def refuses_any(self) -> bool:
        """Whether any module is refused that the layers do not have and that is not ``taken``."""
        return any(f".{name}".endswith(_STRANGER) for name in self.refused)


NONE_IS_REFUSED = Strangers(refused=frozenset(), taken=frozenset())
ANY_IS_REFUSED = Strangers(refused=frozenset({_STRANGER.removeprefix(".")}), taken=frozenset())
"""Of layers whose tensors were read from vLLM's own class, backwards, so that it takes no others."""


def strangers_of(architecture: str) -> Mapping[str, Strangers]:
    """Return what is known of each list of a wrapper's towers."""
    found = of_architecture("tower_strangers", architecture, {})
    return {
        stack: Strangers(refused=frozenset(refused), taken=frozenset(taken))
        for stack, (refused, taken) in found.items()
    }
