"""What one release of an engine makes of a head, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.engines.verdicts.head_facts import BAD

if TYPE_CHECKING:
    from ctq.engines.verdicts.head_facts import Word


@dataclass(frozen=True, slots=True)
class EngineVerdict:
    """What one release of an engine does with the head.

    ``decides`` says whether a bad verdict is an error: for an engine that was asked for, and for the first that is known (vLLM).
    ``layer`` names a layer of the body that stops the engine, so that the head is not reached.
    """

    engine: str
    version: str
    verdict: Word
    reason: str
    decides: bool = True
    layer: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether the engine refuses the checkpoint or serves noise."""
        return self.verdict in BAD
