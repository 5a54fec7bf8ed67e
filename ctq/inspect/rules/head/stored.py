"""HED: the head's tensors against the config that should declare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.config import TIE_KEY, dotted
from ctq.findings import Severity
from ctq.inspect.facts.diagnosis import Defect
from ctq.inspect.facts.entries import KNOWN_CLASSES
from ctq.inspect.modules.forms import Form
from ctq.inspect.rules.rule import Hit
from ctq.recipe.heads import ENGINE_CLASS, HEAD_PATTERN
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts

_NAME_IT = f'put a config group with "targets": ["{HEAD_PATTERN}"] first in config_groups'


def _has(facts: Facts, defect: Defect) -> bool:
    entry = facts.head.entry
    return entry is not None and entry.diagnosis is not None and entry.diagnosis.defect is defect


def _stored_quantized(facts: Facts) -> bool:
    return facts.head.entry is not None and facts.head.entry.stored.is_quantized and facts.is_compressed_tensors


def _served_all_the_same(facts: Facts) -> bool:
    """Whether every engine that decides serves the head as quantized, by its own way of matching names."""
    return {verdict.outcome.verdict for verdict in facts.engines if verdict.decides} == {"quantized"}


def _softened(facts: Facts) -> Severity | None:
    return Severity.WARNING if _served_all_the_same(facts) else None


def head_only_targeted_by_class(facts: Facts) -> Iterator[Hit]:
    """Report a quantized head that only the class target `Linear` reaches.

    ## What it checks
    The head is stored quantized, is not in `ignore`, and no target names it: only `Linear` matches, because in transformers a head
    is an `nn.Linear`.

    ## Why it hurts
    vLLM builds the head as `ParallelLMHead`, and SGLang asks for targets that name it: `Linear` matches in neither. vLLM 0.32.0
    refuses to load: *There is no module or parameter named 'lm_head.weight_scale'*. Other engines have served garbage without a
    word.

    ## Example
    ```json
    "config_groups": {"group_0": {"targets": ["Linear"], ...}}, "ignore": []
    ```
    beside `lm_head.weight` (I8) and `lm_head.weight_scale`.

    ## How to mend
    Give the head a group of its own, first, that names it; the tensors may stay as they are:
    `{"targets": ["re:.*lm_head$"], "weights": {...}, "format": "int-quantized"}`.

    ## References
    vLLM PR #37291, SGLang PR #35228; vLLM 0.32.0 `compressed_tensors.py:186`.
    """
    head = facts.head
    if _stored_quantized(facts) and head.match.declared and not head.by_name and head.match.target != ENGINE_CLASS:
        refusal = (
            f". vLLM will refuse to load: \"There is no module or parameter named '{head.name}.weight_scale'\""
            if not _served_all_the_same(facts)
            else ""
        )
        yield Hit(
            where=head.name or "",
            message=f"the head is stored quantized ({head.scheme}), but only the class target `{head.match.target}` reaches it, "
            f"which engines' ParallelLMHead does not match{refusal}",
            hint=_NAME_IT,
            severity=_softened(facts),
        )


def quantized_head_ignored(facts: Facts) -> Iterator[Hit]:
    """Report a quantized head that `ignore` excludes.

    ## What it checks
    The head is stored quantized, and an entry of `ignore` matches its name.

    ## Why it hurts
    `ignore` is tested first: engines build a dense head, and its `weight_scale` or `weight_packed` has nowhere to go. vLLM refuses
    to load; transformers runs a matrix product on int8 data.

    ## Example
    `"ignore": ["lm_head"]` beside `lm_head.weight_packed`.

    ## How to mend
    Remove the entry from `ignore` (and see that a target names the head), or put the dense head back.

    ## References
    vLLM 0.32.0 `compressed_tensors.py:1012` (`get_scheme_dict`).
    """
    if _has(facts, Defect.IGNORED):
        pattern = facts.head.match.ignored_by
        yield Hit(
            where=facts.head.name or "",
            message=f"the head is stored quantized ({facts.head.scheme}), but `ignore` excludes it (`{pattern}`)",
            hint=f"remove `{pattern}` from quantization_config.ignore, or store the head dense",
            severity=_softened(facts),
        )


def quantized_head_untargeted(facts: Facts) -> Iterator[Hit]:
    """Report a quantized head that no target reaches.

    ## What it checks
    The head is stored quantized, and no target matches its name or its class.

    ## Why it hurts
    Engines build a dense head; vLLM refuses its `weight_scale` or `weight_packed` as unknown names.

    ## Example
    The target `lm_head` in a multimodal model whose head is called `language_model.lm_head`: names are compared whole.

    ## How to mend
    Target `re:.*lm_head$`, which reaches the head under every name that engines give it.

    ## References
    compressed-tensors 0.17.0 `utils/match.py`; llm-compressor issue #1428.
    """
    if _has(facts, Defect.UNDECLARED):
        by_class = facts.quant is not None and ENGINE_CLASS in facts.quant.targets
        only = f" but the engine class `{ENGINE_CLASS}`, which transformers does not know" if by_class else ""
        yield Hit(
            where=facts.head.name or "",
            message=f"the head is stored quantized ({facts.head.scheme}), but no target reaches it{only}",
            hint=_NAME_IT,
            severity=Severity.WARNING if by_class else _softened(facts),
        )


def dense_head_targeted(facts: Facts) -> Iterator[Hit]:
    """Report a head that is declared quantized but stored dense.

    ## What it checks
    A target reaches the head, `ignore` does not, and the file holds a float weight.

    ## Why it hurts
    With W8A8 vLLM copies the bf16 weights into an int8 parameter and leaves the scale uninitialised: garbage, without an error up
    to 0.31. With packed weights it refuses to load. If only `Linear` reaches the head, vLLM builds it dense, and transformers does
    not: a warning.

    ## Example
    `"targets": ["re:.*lm_head$"]` beside `lm_head.weight` in BF16.

    ## How to mend
    Add `re:.*lm_head$` to `ignore`, or quantize the head: `ctq quantize --include-lm-head` from the dense original.

    ## References
    vLLM 0.32.0 `default_loader.py`, `vocab_parallel_embedding.py`.
    """
    if _has(facts, Defect.STORED_DENSE):
        head = facts.head
        yield Hit(
            where=head.name or "",
            message=f"target `{head.match.target}` declares the head quantized, but it is stored dense",
            hint=f"add `{HEAD_PATTERN}` to quantization_config.ignore, or quantize the head",
            severity=None if head.by_name else Severity.WARNING,
        )


def targeted_head_without_tensors(facts: Facts) -> Iterator[Hit]:
    """Report a head that is declared quantized but has no tensors, since it is tied to the embedding.

    ## What it checks
    A target reaches the head, `ignore` does not, and the files hold no tensors of its own.

    ## Why it hurts
    vLLM creates the parameters of a quantized head and never loads them: logits from uninitialised memory, without an error. If
    only `Linear` reaches the head, vLLM serves it dense, and transformers leaves its scale uninitialised: a warning.

    ## Example
    `"tie_word_embeddings": true`, `"targets": ["re:.*lm_head$"]`, and only `model.embed_tokens.weight` in the files: some tools
    skip a tied head silently, and their config says `Linear` all the same.

    ## How to mend
    `ctq quantize --include-lm-head` materialises the head as a tensor of its own and unties it; or add `re:.*lm_head$` to
    `ignore`.

    ## References
    auto-round issues #101 and #1709; llm-compressor issue #2798.
    """
    head = facts.head
    if facts.is_compressed_tensors and head.name is not None and head.entry is None and head.match.declared:
        yield Hit(
            where=head.name,
            message=f"target `{head.match.target}` declares the head quantized, but the files hold no tensors for it",
            hint=f"quantize again with --include-lm-head, which unties the head, or add `{HEAD_PATTERN}` to ignore",
            severity=None if head.by_name else Severity.WARNING,
        )


def tie_flag_beside_quantized_head(facts: Facts) -> Iterator[Hit]:
    """Report a quantized head beside a config that says it is tied.

    ## What it checks
    The files hold a quantized head of its own, and `tie_word_embeddings` is true at some level of the config.

    ## Why it hurts
    vLLM up to 0.28 drops the head's tensors and serves garbage or the dense embedding: an error with `--engine vllm==0.28.0`. From
    0.29 on the file wins where the head has a tensor named `lm_head.weight`; a packed head works by accident, and transformers
    fails on it. SGLang takes the dense embedding.

    ## Example
    `"tie_word_embeddings": true` beside `lm_head.weight` in I8.

    ## How to mend
    Set `tie_word_embeddings` to false at the top level and in every nested text config.

    ## References
    vLLM issues #51063, #51665, #53019; vLLM 0.32.0 `config/model.py:1242`.
    """
    flags = [path for path, tied in facts.config.tie_flags.items() if tied]
    if _stored_quantized(facts) and flags:
        keys = ", ".join(dotted(path, TIE_KEY) for path in flags)
        packed = facts.head.entry is not None and facts.head.entry.stored.form is Form.PACKED
        since = "; later ones use a packed head only by accident" if packed else ""
        yield Hit(
            where=f"config.json: {keys}",
            message=f"{keys} is true beside a quantized head of its own: vLLM up to 0.28 drops its tensors{since}",
            hint=f"set {keys} to false",
            severity=Severity.ERROR
            if any(verdict.outcome.is_bad and verdict.decides for verdict in facts.engines)
            else None,
        )


def other_head_caught(facts: Facts) -> Iterator[Hit]:
    """Report further heads that the head's pattern reaches but that are stored dense.

    ## What it checks
    Modules other than the head whose names end in `lm_head` (`mtp.lm_head`, `audio_lm_head`): a target names them, `ignore` does
    not, and they are stored dense.

    ## Why it hurts
    Engines build them quantized: loading a drafter fails, or the second head serves garbage.

    ## Example
    The target `re:.*lm_head$` in a model with `audio_lm_head.weight` in BF16.

    ## How to mend
    Add the other head's full name to `ignore`.

    ## References
    vLLM issues #53387, #43304.
    """
    for entry in facts.entries:
        name = entry.modules.names[0]
        if (
            entry.is_head
            or not name.endswith("lm_head")
            or not entry.match.declared
            or entry.match.target in KNOWN_CLASSES
        ):
            continue
        if not entry.stored.is_quantized:
            yield Hit(
                where=name,
                message=f"target `{entry.match.target}` also reaches `{name}`, which is stored dense",
                hint=f"add `{name}` to quantization_config.ignore",
                severity=Severity.WARNING if entry.kind is Kind.DRAFT else None,
            )
