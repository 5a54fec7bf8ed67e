"""The numeric proof as a test asks for it, and recipes of which it must say that ctq wrote every byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Finding, Severity
from ctq.inspect.facts.collect import collect_facts
from ctq.recipe.recipe import BodyGroup, Recipe
from ctq.recipe.schemes import SCHEMES, variant
from ctq.verify.numeric.proof import prove_weights
from ctq.verify.request import Limits

if TYPE_CHECKING:
    from pathlib import Path

    from ctq.verify.numeric.result import WeightsReport

RECIPES = {
    "W8A8 with head": Recipe(lm_head=True),
    "W8A16 with head": Recipe(body=(BodyGroup(targets=("Linear",), scheme=SCHEMES["W8A16"]),), lm_head=True),
    "asymmetric": Recipe(
        body=(BodyGroup(targets=("Linear",), scheme=variant(SCHEMES["W8A16"], symmetric=False)),), lm_head=True
    ),
    "mixed": Recipe(lm_head=True, lm_head_scheme=SCHEMES["W8A16"]),
    "searched scales": Recipe(lm_head=True, observer="mse"),
    "head out": Recipe(lm_head=False, ignore=("re:.*down_proj$",)),
}


def prove(folder: Path, reference: Path, limits: Limits | None = None) -> tuple[WeightsReport, tuple[Finding, ...]]:
    facts = collect_facts(open_checkpoint(LocalFolder(folder)))
    return prove_weights(facts, open_checkpoint(LocalFolder(reference)), limits=limits or Limits(), workers=2)


def errors(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {item.where: item.code for item in findings if item.severity is Severity.ERROR}
