"""HED: what engines will make of the head, and what was asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.vllm.backend import refused_architectures
from ctq.engines.vllm_models.limits import limits_of
from ctq.findings import Severity
from ctq.inspect.facts.entries import KNOWN_CLASSES, State
from ctq.inspect.rules.rule import Hit
from ctq.recipe.heads import HEAD_PATTERN, has_no_head
from ctq.recipe.match import REGEX_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.engine_verdict import EngineVerdict
    from ctq.inspect.facts.facts import Facts

_DOES = {"fails": "refuses", "garbage": "serves garbage with", "dense": "does not take"}
_HEALTHY = (State.QUANTIZED, State.DENSE, State.TIED, State.ABSENT)


def _refusals(facts: Facts) -> list[EngineVerdict]:
    """Return the engines that do not serve a head on which files and config agree; the gravest first."""
    if facts.head.state not in _HEALTHY:
        return []
    bad = (
        verdict
        for verdict in facts.engines
        if not verdict.layer and (verdict.outcome.is_bad or _is_dropped(facts, verdict))
    )
    return sorted(bad, key=lambda verdict: not verdict.decides)


def _is_dropped(facts: Facts, verdict: EngineVerdict) -> bool:
    """Whether the engine takes a dense head where the checkpoint promises a quantized one."""
    return verdict.decides and facts.head.state is State.QUANTIZED and verdict.outcome.verdict == "dense"


def _is_exact(facts: Facts) -> bool:
    target = facts.head.match.target
    return (
        facts.head.state is State.QUANTIZED
        and target is not None
        and target not in KNOWN_CLASSES
        and not target.startswith(REGEX_PREFIX)
    )


def exact_target_misses_head(facts: Facts) -> Iterator[Hit]:
    """Report a target that spells out the head's name where engines use another one.

    ## What it checks
    The target that reaches the head is a plain name, and an engine looks the head up under another (`language_model.lm_head` in
    multimodal models, `.lm_head` in GPT-2 and StableLM).

    ## Why it hurts
    Plain names are compared whole: the engine builds a dense head and refuses its scales.

    ## Example
    `"targets": ["lm_head"]` in a Gemma 3 multimodal checkpoint.

    ## How to mend
    Target `re:.*lm_head$`.

    ## References
    vLLM 0.32.0 `compressed_tensors.py` (`apply_vllm_mapper`: names without a dot are never mapped).
    """
    refusals = _refusals(facts) if _is_exact(facts) else []
    if refusals and refusals[0].decides:
        yield Hit(
            where=facts.head.name or "",
            message=f"the plain target `{facts.head.match.target}` does not reach the head in {_who(refusals[:1])}: "
            f"{refusals[0].outcome.reason}",
            hint=f"write the target as `{HEAD_PATTERN}`",
        )


def head_not_served(facts: Facts) -> Iterator[Hit]:
    """Report a head that an engine refuses or serves wrong, although files and config agree on it.

    ## What it checks
    The newest known release of each engine (or those given with `--engine`): its model class does not pass the quantization config
    to the head, the release is too old, the scheme has no implementation for a head, or the head is nowhere. Judged on the
    checkpoint's own targets and tensors. For an engine that nobody asked for, other than vLLM, it is a warning. An engine that
    drops the tensors of a quantized head unread, and takes the dense embedding, does not serve what the checkpoint promises.

    ## Why it hurts
    The model does not load, or its logits are noise.

    ## Example
    A `GptOssForCausalLM` or `OPTForCausalLM` with a quantized head: their vLLM classes build it without the config. Cohere's drop
    its tensors.

    ## How to mend
    Quantize again with `--exclude-lm-head`, or serve with an engine release that dispatches it.

    ## References
    `docs/support.md`; vLLM PR #37291 (0.20.0), SGLang PR #35228; vLLM issues #53896, #48521.
    """
    refusals = _refusals(facts)
    if refusals:
        first = refusals[0]
        others = f"; {_who(refusals[1:])} too" if refusals[1:] else ""
        yield Hit(
            where=facts.head.name or "lm_head",
            message=f"{_who([first])} {_DOES[first.outcome.verdict]} this head: {first.outcome.reason}" + others,
            hint=_remedy(facts),
            severity=None if first.decides else Severity.WARNING,
        )


def _remedy(facts: Facts) -> str:
    if facts.config.architecture in refused_architectures():
        return "serve it with transformers or another engine: vLLM has no model of it, whatever its head is"
    if facts.head.state is State.QUANTIZED:
        return "quantize again with --exclude-lm-head, or serve with a release that dispatches it"
    if has_no_head(facts.config.architecture):
        return "give it the architecture that generates and its head, or the modules.json of an embedding model"
    return "fetch the checkpoint again, or correct tie_word_embeddings"


def _who(verdicts: list[EngineVerdict]) -> str:
    return ", ".join(f"{verdict.engine} {verdict.version}" for verdict in verdicts)


def head_not_as_expected(facts: Facts) -> Iterator[Hit]:
    """Report a head that is not what `--expect-lm-head` says.

    ## What it checks
    The head's state against `--expect-lm-head quantized` or `dense`. A tied head counts as dense; a broken or absent one is
    neither.

    ## Why it hurts
    Tools skip the head silently (tied embeddings, an `ignore` default, a name they do not know), and the release ships without the
    saving that it was made for.

    ## Example
    `ctq inspect DIR --expect-lm-head quantized` on a checkpoint whose head is tied.

    ## How to mend
    `ctq quantize --include-lm-head` or `--exclude-lm-head` from the dense original.

    ## References
    llm-compressor issue #1820; auto-round issue #102.
    """
    if not facts.as_expected:
        option = "--include-lm-head" if facts.expected == "quantized" else "--exclude-lm-head"
        yield Hit(
            where=facts.head.name or "",
            message=f"the head should be {facts.expected}, but it is {facts.head.state}: {facts.head.reason}",
            hint=f"quantize the dense original with {option}",
        )


def limits_of_a_quantized_head(facts: Facts) -> Iterator[Hit]:
    """Note what engines cannot do with a quantized head.

    ## What it checks
    The head is quantized and healthy.

    ## Why it hurts
    Some features read `lm_head.weight` outside the quantized layer: LoRA adapters on the head, draft models that share it (EAGLE,
    MTP), a `head_dtype` override, conversion to a classifier or a pooling model.

    ## Example
    `vllm serve DIR --enable-lora` with an adapter that targets `lm_head`.

    ## How to mend
    Nothing, unless one of these is used: then leave the head dense.

    ## References
    vLLM 0.32.0 `lora/utils.py:138`, `adapters.py:568`, `logits_processor.py:151`; vLLM issue #53104.
    """
    if facts.head.state is State.QUANTIZED:
        limits = [limit.text for limit in limits_of(facts.config.architecture) if not limit.breaks]
        yield Hit(
            where=facts.head.name or "",
            message=f"what a quantized head rules out: {'; '.join(limits)}",
            hint="nothing to do unless one of these is used",
        )
