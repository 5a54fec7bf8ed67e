"""What SGLang makes of a head. Pure.

From 0.5.19 on (PR 35228) a head is quantized when a target names it; before, every head is dense. Tensors that have no parameter
are passed over in silence by most model classes. What has no class of SGLang's own goes through its Transformers backend, which
puts ``model.`` before every target, patterns and names of classes among them, so that no layer is found: it refuses every
compressed-tensors config. Seen in the source of SGLang 0.5.18 to 0.5.23 at work (``benchmarks/sglang_source.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.sglang.dispatch import sglang_scheme, target_args
from ctq.engines.sglang.heads import Given, SglangHead, Way, first_sglang, newest_sglang, sglang_head
from ctq.engines.verdicts.head_facts import HeadForm, Outcome, not_judged
from ctq.engines.verdicts.head_loading import Loader, load_dense, load_quantized
from ctq.engines.versions import version_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.engines.verdicts.head_facts import HeadFacts, Word
    from ctq.engines.vllm.scheme_predicates import SchemeArgs

    Scheme = tuple[str, SchemeArgs] | None

__all__ = ["newest_sglang", "sglang_outcome"]
_DENSE = {
    Given.NAMELESS: "builds its head without a name",
    Given.NO_CONFIG: "does not pass the quantization config to its head",
}
"""What a class gives its head where that is dense whatever the targets say."""
_ALWAYS: Mapping[Way, tuple[Word, str]] = {
    Way.PASSED_OVER: ("garbage", "builds a head of its own and loads nothing into it"),
    Way.REFUSED: ("fails", "refuses tied embeddings"),
    Way.UNKNOWN: ("unknown", "ties its head in a way that is not known well enough"),
}
"""Ways that decide by themselves, whatever the files hold."""


def sglang_outcome(facts: HeadFacts, version: str) -> Outcome:
    """Return what SGLang ``version`` makes of the head.

    Raises:
        UsageError: ``version`` is not a version number.

    """
    if facts.is_of_another_method:
        return not_judged(facts)
    head = sglang_head(facts.architecture)
    if head.given is Given.NOTHING and facts.architecture is not None and facts.method is not None:
        return Outcome(
            "unknown",
            f"SGLang has no class for {facts.architecture}, and its Transformers backend, if it takes the model at all, "
            "refuses every compressed-tensors config",
        )
    try:
        scheme, why = _scheme(facts, head, version)
    except DispatchError as error:
        return Outcome("fails", f"SGLang refuses the head's scheme ({error.kind}): {error.message}")
    except LookupError as error:
        return Outcome("unknown", str(error))
    return _load(head.tied if _is_tied(facts) else head.untied, facts, scheme, why)


def _is_tied(facts: HeadFacts) -> bool:
    return bool(facts.tied) or (facts.tied is None and facts.stored is HeadForm.ABSENT)


def _scheme(facts: HeadFacts, head: SglangHead, version: str) -> tuple[Scheme, str]:
    """Return the scheme that the head gets, or None and the reason.

    Raises:
        DispatchError: SGLang refuses the config, or the head's scheme.
        LookupError: it is not known.

    """
    if facts.quantization is None or facts.method is None:
        return None, "there is no quantization config that SGLang reads"
    target_args(facts.quantization)
    if version_key(version) < version_key(first_sglang()):
        return None, f"SGLang quantizes heads from {first_sglang()} on"
    found = [sglang_scheme(facts.quantization, name, version) for name in head.names]
    if head.given in _DENSE:
        return None, f"the {facts.architecture} of SGLang {_DENSE[head.given]}"
    if head.given is not Given.NAMED and not facts.is_plain:
        raise LookupError(f"the {facts.architecture or 'model class'} of SGLang is not known well enough")
    if found[0] != found[-1]:
        told = " from ".join(head.names)
        raise LookupError(f"the targets tell {told}, and which of them it is depends on the model class")
    return found[0], "no target names it, or ignore does; SGLang does not ask for classes such as Linear"


def _load(way: Way, facts: HeadFacts, scheme: Scheme, why: str) -> Outcome:
    if way in _ALWAYS:
        verdict, sentence = _ALWAYS[way]
        return Outcome(verdict, f"the {facts.architecture} of SGLang {sentence}")
    if facts.needs_no_head:
        return Outcome("dense", facts.needs_no_head)
    if way in (Way.EMBEDDING, Way.EMBEDDING_STRICT):
        return _load_nothing(way, facts)
    if way is Way.OVERWRITTEN or (way is Way.SHARED and facts.stored is HeadForm.ABSENT):
        return _overwrite(scheme)
    if facts.stored is HeadForm.ABSENT:
        return Outcome("garbage", "SGLang builds a head of its own, but the files hold no tensors of it")
    loader = Loader(engine="SGLang", refuses_unknown_names=way is Way.STRICT)
    if scheme is None:
        return load_dense(facts, loader, why)
    if way is Way.WEIGHT_ALONE:
        return Outcome("garbage", f"the {facts.architecture} of SGLang loads the head's weight without its scales")
    return load_quantized(facts, *scheme, loader)


def _load_nothing(way: Way, facts: HeadFacts) -> Outcome:
    """Judge a head that is the embedding."""
    stray = next(iter(facts.quantized_parts), None)
    if stray is not None and way is Way.EMBEDDING_STRICT:
        return Outcome("fails", f"the embeddings are tied, and SGLang refuses the tensor {facts.name}.{stray}")
    cause = "the embeddings are tied" if _is_tied(facts) else f"{facts.architecture} has no head of its own there"
    return Outcome("dense", f"{cause}: SGLang takes the dense embedding for the head")


def _overwrite(scheme: Scheme) -> Outcome:
    """Judge a head that gets the embedding's weight after loading."""
    if scheme is None:
        return Outcome("dense", "the embeddings are tied: SGLang takes the dense embedding for the head")
    return Outcome(
        "garbage",
        f"the config gives the head {scheme[0]}, but SGLang puts the embedding's weight there, without scales",
    )
