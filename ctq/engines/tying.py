"""What a tie flag does to a head that has tensors of its own, by architecture and release of vLLM. Pure.

Source: the ``tie`` column of the reference data; vLLM 0.32.0 config/model.py:1242 (``maybe_untie_word_embeddings``) and
model_executor/models/hy_v3.py:573.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from ctq.engines.head_facts import Stored

if TYPE_CHECKING:
    from ctq.engines.head_facts import HeadFacts
    from ctq.engines.heads import HeadSupport
    from ctq.engines.rules import EngineRules

_DROPS_WHILE_TIED = frozenset({"HYV3ForCausalLM"})
"""Architectures whose loader drops every ``lm_head.weight*`` of a tied head, whatever the release."""


class Tie(Enum):
    """What happens to the head."""

    OWN = auto()
    """Its own tensors are loaded."""
    ALIAS = auto()
    """It is the embedding itself; tensors of its own are dropped."""
    DROPPED = auto()
    """Tensors of its own are dropped; the parameters of a quantized head are never filled."""
    SHARED = auto()
    """Its parameter `weight` is the embedding's; other tensors of its own are loaded."""
    UNKNOWN = auto()


def tie_of(facts: HeadFacts, support: HeadSupport | None, rules: EngineRules) -> Tie:
    """Return what becomes of the head, whether or not the files hold tensors of it.

    A config that says nothing is taken at what the files hold.
    """
    known = support.tie if support else ""
    always = "always_tied" in known
    is_tied = always or (facts.stored is Stored.ABSENT if facts.tied is None else facts.tied)
    if not is_tied:
        return Tie.OWN
    if facts.architecture in _DROPS_WHILE_TIED and facts.stored is Stored.PACKED:
        return Tie.DROPPED
    if rules.unties_from_weight and not always and _has_own_weight(facts):
        return Tie.OWN
    return tie_when_tied(known)


def _has_own_weight(facts: HeadFacts) -> bool:
    return "weight" in facts.tensors and f"{facts.name}.weight".endswith("lm_head.weight")


def tie_when_tied(known: str) -> Tie:
    """Return what becomes of the tensors of a tied head; ``known`` is the entry of the reference data's ``tie`` column."""
    ways = set(known.replace("wrapper:", "").split("+"))
    skips = bool(ways & {"skip_prefixes", "load_skip"})
    if "module_alias" in ways:
        return Tie.ALIAS if skips else Tie.SHARED
    if skips:
        return Tie.DROPPED
    if ways & {"tie_weights", "weight_share", "always_tied"}:
        return Tie.SHARED
    return Tie.OWN if "ignored" in ways else Tie.UNKNOWN
