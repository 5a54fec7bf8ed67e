"""TEN: the files against what the architecture is made of, where that is known (`ctq.engines.skeletons.find`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.skeletons.engine_places import leaves_bias_behind, other_part, own_name
from ctq.engines.skeletons.passed_over import passed_over
from ctq.engines.skeletons.unserved_names import refused_names, unread_names
from ctq.findings import Severity
from ctq.inspect.modules.forms import Form
from ctq.inspect.modules.parts import CACHE_PARTS, PARTS
from ctq.inspect.presence.passed_over import refused_parts
from ctq.inspect.presence.places import is_refused
from ctq.inspect.presence.stands_for import dense_tensors, fused_tensors
from ctq.inspect.presence.strangers import is_in_draft_layers, is_stranger
from ctq.inspect.presence.surplus_experts import surplus_expert
from ctq.inspect.rules.rule import Hit, listing
from ctq.recipe.kinds import OTHER_PARTS
from ctq.recipe.template import SINGLE_EXPERT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.engines.skeletons.skeleton import Skeleton
    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts

_LEFT = tuple(sorted(PARTS - CACHE_PARTS - {"weight", "bias"}))
"""Parts that a quantizer writes, and that dequantizing may leave."""


def unknown_module(facts: Facts) -> Iterator[Hit]:
    """Report tensors that the architecture does not have.

    ## What it checks
    Every name against the tensors of the architecture, where those are known. It is an error where vLLM refuses a name that it does
    not know in that place, in a layer of a tower too, and a warning where vLLM looks away: some of its loaders leave unread what
    they do not know beside experts, or names of some endings. Experts beyond the number of the config count where vLLM's class
    refuses them, and what a quantizer left beside dense weights of a model without a quantization config.

    ## Why it hurts
    A prefix too many or too few, a renamed module, a leftover of training: vLLM stops with *There is no module or parameter named
    ...*, and what should have been loaded is missing. Other engines leave it out silently.

    ## Example
    `module.model.layers.0.mlp.up_proj.weight`, or `mtp.fc.weight` in a `LlamaForCausalLM`.

    ## How to mend
    Give the tensors the names of the architecture, or leave them out.

    ## References
    vLLM 0.32.0 `model_executor/models/utils.py:442`; `benchmarks/learn/skeletons.py`, `passed_over.py`.
    """
    yield from _surplus(facts)
    skeleton = facts.skeleton
    yield from _unserved(facts)
    yield from _strange(facts, skeleton) if skeleton is not None else ()


def _surplus(facts: Facts) -> Iterator[Hit]:
    if (found := surplus_expert(facts)) is not None:
        architecture = facts.config.architecture
        yield Hit(
            where=found.name,
            message=f"{architecture} has {found.counted} experts by its config, and the files hold {found.name}",
            hint="restore the config that belongs to the weights, or leave the expert out",
        )


def _strange(facts: Facts, skeleton: Skeleton) -> Iterator[Hit]:
    """Report the gravest of what the architecture does not have: modules that are refused, parts that are, modules left unread."""
    read = [entry for entry in facts.entries if not is_in_draft_layers(entry, skeleton, facts)]
    judged = [(entry, is_stranger(entry, skeleton, facts)) for entry in read]
    strangers, own = ([entry for entry, is_strange in judged if is_strange is wanted] for wanted in (True, False))
    refused = [entry for entry in strangers if is_refused(entry, skeleton, facts)]
    left = [(entry, parts) for entry in own if (parts := _leftovers(entry, skeleton, facts))]
    biased = [entry for entry in own if _has_unknown_bias(entry, skeleton, facts)]
    if refused:
        yield _unknown(facts, refused)
    elif left:
        first, (part, *_) = left[0]
        yield Hit(
            where=f"{first.modules.names[0]}.{part}",
            message=f"{part} beside the dense weight of {listing([entry for entry, _ in left])}, and no quantization_config",
            hint="leave it out if the weights are dequantized, else restore quantization_config",
        )
    elif biased:
        yield Hit(
            where=f"{biased[0].modules.names[0]}.bias",
            message=f"{facts.config.architecture} has no bias of {listing(biased)}",
            hint="leave the biases out, or restore the architecture of the original",
        )
    elif strangers:
        yield _unknown(facts, strangers, Severity.WARNING)


def _unknown(facts: Facts, found: Sequence[Entry], severity: Severity | None = None) -> Hit:
    return Hit(
        where=found[0].modules.names[0],
        message=f"{facts.config.architecture} has no {listing(found)}",
        hint="give the tensors the names of the architecture, or leave them out",
        severity=severity,
    )


def _unserved(facts: Facts) -> Iterator[Hit]:
    """Report what vLLM is known to refuse, or to leave unread though it needs it, of a model as transformers saves it."""
    architecture = facts.config.architecture
    for names, says in (
        (refused_names(architecture), "has no"),
        (unread_names(architecture), "serves what memory holds, never loading"),
    ):
        found = {name: entry for entry in facts.entries for name in dense_tensors(entry) if name in names}
        if found:
            yield Hit(
                where=next(iter(found.values())).modules.names[0],
                message=f"vLLM's {architecture} {says} {', '.join(sorted(found))}",
                hint="serve it with another engine: so it is saved, and so vLLM takes it",
            )


def _has_unknown_bias(entry: Entry, skeleton: Skeleton, facts: Facts) -> bool:
    """Tell a bias beside a weight of the architecture that it does not have, where vLLM refuses biases that it does not know."""
    module, passes = entry.modules.template, passed_over(skeleton)
    refuses = (
        "bias" in skeleton.refuses
        or (SINGLE_EXPERT in module and not passes.expert_biases)
        or (not passes.biases and leaves_bias_behind(skeleton, module))
    )
    if not refuses or not {"bias", "weight"} <= entry.modules.parts.keys():
        return False
    if skeleton.wrapped and entry.kind in OTHER_PARTS:
        return False
    if any(other_part(skeleton, name) for name in entry.modules.first_tensors):
        return False
    names = (*dense_tensors(entry), *fused_tensors(entry, skeleton, facts))
    return not any(own_name(skeleton, name) in skeleton.tensors for name in names if name.endswith(".bias"))


def _leftovers(entry: Entry, skeleton: Skeleton, facts: Facts) -> list[str]:
    """Return what a quantizer left beside a dense weight in an unquantized model, where vLLM refuses what it does not know."""
    is_dense = facts.quant is None and entry.stored.form in (Form.DENSE, Form.FROZEN)
    is_of_text = entry.kind not in OTHER_PARTS and not entry.is_head
    return refused_parts(entry, skeleton, _LEFT) if is_dense and is_of_text else []
