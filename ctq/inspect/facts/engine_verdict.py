"""What one release of an engine makes of a head, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctq.engines.verdicts.head_facts import Outcome


@dataclass(frozen=True, slots=True)
class EngineVerdict:
    """What one release of an engine does with the head.

    ``decides`` says whether a bad outcome is an error: for an engine that was asked for, and for the first that is known (vLLM).
    ``layer`` names a layer of the body that stops the engine, so that the head is not reached.
    """

    engine: str
    version: str
    outcome: Outcome
    decides: bool = True
    layer: str = ""
