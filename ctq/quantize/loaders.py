"""What to know of other loaders than vLLM before a result is written. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.verdicts.transformers_layers import Layer, layers_outcome
from ctq.engines.verdicts.verdict import newest_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.recipe.decision import Decisions


def loader_notes(architecture: str | None, decisions: Decisions) -> Iterator[str]:
    """Yield a sentence where transformers will not load layers of the body as they will be stored."""
    version = newest_version("transformers")
    found = layers_outcome(architecture, _layers(decisions), version)
    if found is not None:
        outcome, layer = found
        yield f"for vLLM, not for transformers {version}: {outcome.reason} ({layer})"


def _layers(decisions: Decisions) -> Iterator[Layer]:
    for decision in decisions.modules:
        if decision.scheme is not None:
            yield Layer(decision.module, "packed" if decision.scheme.is_packed else "int8")
