"""What a tie flag does to a head that has tensors of its own, by architecture and release of vLLM. Pure.

Source: the ``tie`` column of the reference data; vLLM 0.32.0 config/model.py:1242 (``maybe_untie_word_embeddings``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.verdicts.head_facts import HeadForm
from ctq.engines.vllm_models.ties import Tie

if TYPE_CHECKING:
    from ctq.engines.verdicts.head_facts import HeadFacts
    from ctq.engines.vllm.rules import EngineRules
    from ctq.engines.vllm_models.heads import HeadSupport


def tie_of(facts: HeadFacts, support: HeadSupport | None, rules: EngineRules) -> Tie:
    """Return what becomes of the head, whether or not the files hold tensors of it.

    A config that says nothing is taken at what the files hold.
    """
    always = support is not None and support.is_always_tied
    is_tied = always or (facts.stored is HeadForm.ABSENT if facts.tied_in_vllm is None else facts.tied_in_vllm)
    if not is_tied:
        return Tie.OWN
    if rules.unties_from_weight and not always and _has_own_weight(facts):
        return Tie.OWN
    return support.when_tied if support is not None else Tie.UNKNOWN


def _has_own_weight(facts: HeadFacts) -> bool:
    return "weight" in facts.tensors and f"{facts.name}.weight".endswith("lm_head.weight")
