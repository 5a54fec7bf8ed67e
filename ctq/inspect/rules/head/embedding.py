"""HED: the input embedding, which the head's ancestor class makes a thing that targets reach too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.dispatch import DispatchConfig
from ctq.engines.vllm.layers import VocabParallelEmbedding
from ctq.engines.vllm.rules import rules_for
from ctq.findings import Severity
from ctq.inspect.rules.rule import Hit
from ctq.recipe.heads import HEAD_PATTERN
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts


def target_hits_embedding(facts: Facts) -> Iterator[Hit]:
    """Report a target that reaches the embedding as well, which is stored dense.

    ## What it checks
    Whether vLLM's own matching gives the input embedding a quantized method: by its class (`VocabParallelEmbedding`, of which the
    target may be any part), or by its name. Many model classes give it no name, so that only patterns which match everything reach
    it; where that is not known, or the class builds its embedding without the config, it is a warning.

    ## Why it hurts
    From 0.23 on vLLM builds a quantized embedding for it: W8A8 is refused, packed weights are never loaded.

    ## Example
    `"targets": ["re:.*"]`, or `"targets": ["Linear", "Embedding"]`.

    ## How to mend
    Use `Linear` for the body and `re:.*lm_head$` for the head, or add the embedding's name to `ignore`.

    ## References
    vLLM 0.32.0 `compressed_tensors.py:197`.
    """
    name, quant = _dense_embedding(facts), facts.compressed_tensors
    if name is None or quant is None:
        return
    try:
        config = DispatchConfig.from_quantization_config(quant.raw, rules_for())
        nameless, named = _target(config, ""), _target(config, name)
    except DispatchError:
        return  # the config itself is another rule's finding
    skeleton = facts.skeleton
    has_name = skeleton.embedding if skeleton is not None else None
    target = named if nameless is None and has_name is not False else nameless
    if target is not None:
        yield Hit(
            where=name,
            message=f"target `{target}` reaches the embedding too ({name}), which is stored dense",
            hint=f"target `Linear` and `{HEAD_PATTERN}` instead, or add the embedding's name to ignore",
            severity=None if (nameless is not None or has_name) and not _is_unasked(facts) else Severity.WARNING,
        )


def _dense_embedding(facts: Facts) -> str | None:
    known = (facts.head.embedding or "").removesuffix(".weight")
    return next(
        (
            entry.modules.names[0]
            for entry in facts.entries
            if entry.kind is Kind.EMBEDDING and entry.modules.names[0] == known and not entry.stored.is_quantized
        ),
        None,
    )


def _is_unasked(facts: Facts) -> bool:
    """Tell model classes that build their embedding without the config."""
    names = facts.names
    return names is not None and not names.asks("embedding")


def _target(config: DispatchConfig, name: str) -> str | None:
    found = config.matched(VocabParallelEmbedding(), name)
    return found.target if found is not None else None
