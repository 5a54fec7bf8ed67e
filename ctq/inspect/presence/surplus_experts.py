"""Experts beyond the number of the config, where vLLM's class refuses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ctq.engines.vllm_models.seen import refuses_surplus_experts
from ctq.recipe.kinds import EXPERT_COUNTS, Kind
from ctq.recipe.template import SINGLE_EXPERT

if TYPE_CHECKING:
    from ctq.inspect.facts.facts import Facts


class Surplus(NamedTuple):
    """The first module of a surplus expert, and how many experts the config counts."""

    name: str
    counted: int


def surplus_expert(facts: Facts) -> Surplus | None:
    """Return the first expert that vLLM refuses because the config counts fewer."""
    config = facts.config
    count = max(config.text_int(key) or 0 for key in EXPERT_COUNTS)
    if not count or not refuses_surplus_experts(config.architecture):
        return None
    for entry in facts.entries:
        if SINGLE_EXPERT in entry.modules.template and entry.kind is not Kind.DRAFT:
            for name, numbers in zip(entry.modules.names, entry.modules.numbers, strict=True):
                if numbers[-1] >= count:
                    return Surplus(name, count)
    return None
