"""What vLLM makes of a head, release by release: dispatch, then tying, then loading. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.checkpoint.pooling import MODULES_NAME
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.verdicts.head_facts import HeadForm, Outcome, not_judged
from ctq.engines.verdicts.head_loading import Loader, load_dense, load_quantized
from ctq.engines.verdicts.tying import tie_of
from ctq.engines.versions import version_key
from ctq.engines.vllm.backend import refused_by_backend
from ctq.engines.vllm.layers import ParallelLMHead
from ctq.engines.vllm.learnt_with import LEARNT_WITH
from ctq.engines.vllm.rules import FIRST_WITH_HEAD, rules_for
from ctq.engines.vllm_models.heads import head_owner, resolved_support
from ctq.engines.vllm_models.limits import breaking_limit
from ctq.engines.vllm_models.model_dispatch import model_dispatch
from ctq.engines.vllm_models.seen import dropping_architectures
from ctq.engines.vllm_models.ties import Tie
from ctq.recipe.heads import ENGINE_CLASS, has_no_head, is_pooling

if TYPE_CHECKING:
    from ctq.engines.verdicts.head_facts import HeadFacts
    from ctq.engines.vllm.dispatch import DispatchConfig, Method
    from ctq.engines.vllm.rules import EngineRules
    from ctq.engines.vllm.scheme_predicates import SchemeArgs
    from ctq.engines.vllm_models.heads import HeadSupport

_UNTIED = "the config says that the head is not tied, but the files hold no tensors of it"
_GENERATES = (
    "vLLM takes {} for a model that generates, and the files hold no head; beside the modules.json of sentence-transformers, or "
    "with --runner pooling, it makes an embedding model of it"
)


_DROPPED = "g_idx"
"""An order of columns, which loaders drop unread wherever there is a quantization config (vLLM 0.32.0 ``base_config.py``)."""


def vllm_outcome(facts: HeadFacts, version: str) -> Outcome:
    """Return what vLLM ``version`` makes of the head.

    Raises:
        UsageError: ``version`` is not a version number.

    """
    rules = rules_for(version)
    if facts.is_of_another_method:
        return not_judged(facts)
    if facts.method is not None and _DROPPED in facts.tensors and version_key(version) >= version_key(LEARNT_WITH):
        facts = replace(facts, tensors={name: one for name, one in facts.tensors.items() if name != _DROPPED})
    try:
        config = _config(facts, rules)
    except DispatchError as error:
        return Outcome("fails", f"vLLM refuses the quantization config ({error.kind}): {error.message}")
    if (refusal := refused_by_backend(facts.architecture, version)) is not None:
        return Outcome("fails", refusal)
    if facts.pools or is_pooling(facts.architecture):
        return _pooled(facts)
    support = resolved_support(facts.architecture, facts.inner_architecture, version)
    if not rules.lm_head_branch:
        why = f"vLLM quantizes heads from {FIRST_WITH_HEAD} on"
        # Model classes are known from that release on; 0.19.1, really installed, ties heads as they do there.
        oldest = support or resolved_support(facts.architecture, facts.inner_architecture, FIRST_WITH_HEAD)
        return _finish(facts, oldest, rules, None, why)
    if support is None or support.quant_config in ("inner", "conditional"):
        return _guess(
            facts, config, f"the {facts.architecture or 'model class'} of vLLM {rules.asked} is not known well enough"
        )
    if support.quant_config is None:
        return _headless(facts, rules)
    return _dispatched(facts, support, config, rules)


def _pooled(facts: HeadFacts) -> Outcome:
    kind = "a pooling model" if is_pooling(facts.architecture) else f"an embedding model, as {MODULES_NAME} asks,"
    dropped = "" if facts.is_plain else f", and drops the tensors of {facts.name} unread"
    return Outcome("dense", f"vLLM makes {kind} of {facts.architecture}, which has no head{dropped}")


def _config(facts: HeadFacts, rules: EngineRules) -> DispatchConfig | None:
    if facts.quantization is None or facts.method is None:
        return None
    return model_dispatch(facts.quantization, rules, architecture=facts.architecture, inner=facts.inner_architecture)


def _headless(facts: HeadFacts, rules: EngineRules) -> Outcome:
    why = f"vLLM {rules.asked} builds no head of its own for {facts.architecture} and takes the embedding"
    if facts.stored is HeadForm.ABSENT:
        return Outcome("dense", why)
    if head_owner(facts.architecture, facts.inner_architecture, rules.asked) in dropping_architectures():
        return Outcome("dense", f"{why}; it drops the tensors of {facts.name} unread")
    return Outcome("fails", f"{why}, so that {facts.name} has nowhere to go")


def _guess(facts: HeadFacts, config: DispatchConfig | None, why: str) -> Outcome:
    """Judge a head whose name in the engine is not known: only what holds under every likely name."""
    names = dict.fromkeys((facts.name or "lm_head", "lm_head", "language_model.lm_head", "model.lm_head"))
    try:
        reached = config is not None and any(config.matched(ParallelLMHead(), name) for name in names)
    except DispatchError:
        reached = True
    if not reached and facts.is_plain:
        stored = "no head is stored" if facts.stored is HeadForm.ABSENT else "the head is stored dense"
        return Outcome("dense", f"{stored} and no target names one")
    return Outcome("unknown", why)


def _dispatched(facts: HeadFacts, support: HeadSupport, config: DispatchConfig | None, rules: EngineRules) -> Outcome:
    if config is None:
        return _finish(facts, support, rules, None, "there is no quantization config that vLLM reads")
    if support.quant_config != "yes":
        why = f"the {facts.architecture} of vLLM {rules.asked} does not pass the quantization config to its head"
        return _finish(facts, support, rules, None, why)
    layer = ParallelLMHead()
    try:
        method = config.get_quant_method(layer, support.name)
        found = config.matched(layer, support.name) if method else None
    except DispatchError as error:
        return Outcome("fails", f"vLLM refuses the head's scheme ({error.kind}): {error.message}")
    if method is None or method.scheme is None or found is None:
        return _finish(facts, support, rules, None, _unmatched(config, support.name))
    return _finish(facts, support, rules, (method, found.args), "")


def _unmatched(config: DispatchConfig, prefix: str) -> str:
    if not prefix:
        return f"vLLM builds it without a name, so that only the class target {ENGINE_CLASS} reaches it"
    try:
        ignored = replace(config, ignore=()).matched(ParallelLMHead(), prefix) is not None
    except DispatchError:
        ignored = False
    return f"ignore holds {prefix}" if ignored else f"no target matches {prefix}, as vLLM calls it"


def _finish(
    facts: HeadFacts, support: HeadSupport | None, rules: EngineRules, found: tuple[Method, SchemeArgs] | None, why: str
) -> Outcome:
    """Decide by tying and loading; ``found`` is the method of a quantized head, ``why`` the reason for a dense one."""
    tie = tie_of(facts, support, rules)
    if facts.stored is HeadForm.ABSENT:
        return _without_tensors(facts, tie, found, why)
    loader = Loader(engine="vLLM", refuses_unknown_names=True, reshapes_scalar_scales=rules.reshapes_scalar_scales)
    if tie is Tie.UNKNOWN and not facts.is_plain:
        return Outcome(
            "unknown", f"what the tie flag does in the {facts.architecture} of vLLM {rules.asked} is not known"
        )
    if tie is Tie.ALIAS or (tie is Tie.DROPPED and found is None):
        return Outcome(
            "dense", "the config ties the embeddings: vLLM drops the head's tensors and takes the dense embedding"
        )
    if found is None:
        return load_dense(facts, loader, why)
    method, args = found
    if method.kind == "embedding":
        return Outcome(
            "fails", f"vLLM gives the head the embedding's method ({method.scheme}), which raises at the first logits"
        )
    if tie is Tie.DROPPED or (tie is Tie.SHARED and "weight" in facts.tensors):
        return Outcome(
            "garbage",
            f"the config ties the embeddings: vLLM drops the head's tensors, and its {method.scheme} stays unfilled",
        )
    return _limited(facts, load_quantized(facts, str(method.scheme), args, loader))


def _without_tensors(facts: HeadFacts, tie: Tie, found: tuple[Method, SchemeArgs] | None, why: str) -> Outcome:
    if tie is Tie.ALIAS or (found is None and (tie is not Tie.OWN or facts.tied_in_vllm is not False)):
        return Outcome("dense", "the head is the dense embedding, to which it is tied")
    if found is not None:
        return Outcome(
            "garbage",
            f"the target {found[0].target} gives the head {found[0].scheme}, but the files hold no tensors of it",
        )
    if facts.method is None:
        return Outcome(
            "fails", _UNTIED if not has_no_head(facts.architecture) else _GENERATES.format(facts.architecture)
        )
    return Outcome(
        "garbage", f"the files hold no tensors of a head that is not tied, which vLLM does not notice: {why}"
    )


def _limited(facts: HeadFacts, outcome: Outcome) -> Outcome:
    limit = breaking_limit(facts.architecture, facts.limiting_switches)
    return Outcome("fails", limit.text) if limit and outcome.verdict == "quantized" else outcome
