"""TEN: tensors that are missing, extra or undeclared; one rule for each rung of ``ctq.inspect.facts.defects``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ctq.engines.vllm_models.seen import builds_quantized
from ctq.findings import Severity
from ctq.inspect.facts.diagnosis import Defect
from ctq.inspect.modules.forms import Form
from ctq.inspect.rules.hits import hits_of, severity_of, with_defect, words_of
from ctq.inspect.rules.rule import about
from ctq.recipe.kinds import Kind
from ctq.recipe.match import REGEX_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.rules.rule import Hit

_NEVER_QUANTIZED = frozenset({Kind.EMBEDDING, Kind.ROUTER, Kind.FUSED_EXPERTS})
"""Kinds that rules of their own are about (``never_quantized.py``)."""


def _others_rule(entry: Entry) -> bool:
    """Tell modules that rules of their own are about: heads and the embedding."""
    return entry.is_head or entry.modules.names[0].endswith("lm_head") or entry.kind is Kind.EMBEDDING


def missing_weight(facts: Facts) -> Iterator[Hit]:
    """Report scales whose weight is missing.

    ## What it checks
    A module, of a dense model too, has `weight_scale`, `weight_shape` or `weight_zero_point`, but no `weight` or `weight_packed`.

    ## Why it hurts
    Engines leave the weight uninitialised: vLLM does not report missing tensors of quantized models.

    ## Example
    `lm_head.weight_scale` without `lm_head.weight`, after a shard was lost or a filter dropped names.

    ## How to mend
    Fetch or copy the checkpoint again, or quantize again.

    ## References
    vLLM 0.32.0 `default_loader.py:507`; GPTQModel PR #3077.
    """
    hint = "fetch the checkpoint again, or quantize again"
    yield from hits_of(with_defect(facts, Defect.MISSING_WEIGHT), "", hint)
    bare = [entry for entry in facts.entries if facts.quant is None and entry.stored.form is Form.NO_WEIGHT]
    if bare:
        parts = ", ".join(sorted(bare[0].modules.parts))
        yield about(bare, f"{parts} but no weight", hint)


def missing_weight_scale(facts: Facts) -> Iterator[Hit]:
    """Report quantized weights without a scale.

    ## What it checks
    An integer, FP8 or packed weight has no `weight_scale` beside it.

    ## Why it hurts
    The scale stays uninitialised memory: garbage without an error in vLLM.

    ## Example
    `model.layers.3.mlp.up_proj.weight` in I8 and no `model.layers.3.mlp.up_proj.weight_scale`.

    ## How to mend
    Fetch or copy the checkpoint again, or quantize again.

    ## References
    vLLM 0.32.0 `default_loader.py:507`.
    """
    yield from hits_of(with_defect(facts, Defect.MISSING_SCALE), "", "fetch the checkpoint again, or quantize again")


def weights_not_compressed(facts: Facts) -> Iterator[Hit]:
    """Report float weights that carry scales: calibrated, but never compressed.

    ## What it checks
    A float weight has a `weight_scale` beside it.

    ## Why it hurts
    vLLM copies the float weight into an integer parameter: all zeros and ones.

    ## Example
    A model saved with `save_compressed=False` (`quantization_status: frozen`).

    ## How to mend
    Save it again compressed.

    ## References
    compressed-tensors 0.17.0 `QuantizationStatus`.
    """
    yield from hits_of(with_defect(facts, Defect.NOT_COMPRESSED), "", "save the model again with save_compressed=True")


def quantized_but_undeclared(facts: Facts) -> Iterator[Hit]:
    """Report quantized modules that no target reaches.

    ## What it checks
    A module other than the head is stored quantized, and no target matches its name or class.

    ## Why it hurts
    Engines build it dense: vLLM refuses its scale as an unknown name, or loads integers as weights.

    ## Example
    `"targets": ["re:.*self_attn.*"]` over a checkpoint whose `mlp` is int8 too.

    ## How to mend
    Add a target that reaches it: `Linear`, or a pattern.

    ## References
    compressed-tensors 0.17.0 `utils/match.py`.
    """
    entries = [
        entry
        for entry in with_defect(facts, Defect.UNDECLARED)
        if not entry.is_head and entry.kind not in _NEVER_QUANTIZED
    ]
    if entries:
        unused = [pattern for pattern in facts.patterns.targets.patterns if pattern not in facts.patterns.targets.used]
        near = f" (`{unused[0]}` matches nothing)" if unused else ""
        yield about(
            entries,
            f"stored quantized, but no target matches{near}{words_of(entries)}",
            hint="add a target that reaches them, e.g. `Linear`",
            severity=severity_of(entries),
        )


def quantized_but_ignored(facts: Facts) -> Iterator[Hit]:
    """Report quantized modules that `ignore` excludes.

    ## What it checks
    A module other than the head is stored quantized, and an entry of `ignore` matches it.

    ## Why it hurts
    Engines build it dense: vLLM refuses its scale as an unknown name, or loads integers as weights.

    ## Example
    `"ignore": ["re:.*mlp.*"]` over int8 `mlp` weights.

    ## How to mend
    Remove or narrow the entry.

    ## References
    vLLM 0.32.0 `compressed_tensors/utils.py` (`should_ignore_layer`).
    """
    entries = [
        entry
        for entry in with_defect(facts, Defect.IGNORED)
        if not entry.is_head and entry.kind not in _NEVER_QUANTIZED
    ]
    yield from hits_of(entries, "stored quantized, but ", "remove or narrow the ignore entry")


def dense_but_declared_quantized(facts: Facts) -> Iterator[Hit]:
    """Report dense linear layers that the config declares quantized.

    ## What it checks
    A linear layer is stored dense, a target reaches it, and `ignore` does not.

    ## Why it hurts
    With W8A8 vLLM copies the floats into an int8 parameter and leaves the scale uninitialised: garbage. With packed weights it
    refuses to load.

    ## Example
    A layer that a tool skipped without writing it into `ignore`.

    ## How to mend
    Add the layer to `ignore`, or quantize it.

    ## References
    compressed-tensors issue #733; vLLM issue #25923.
    """
    entries = [entry for entry in with_defect(facts, Defect.STORED_DENSE) if not _others_rule(entry)]
    yield from hits_of(entries, "", "add them to quantization_config.ignore, or quantize them")


def dense_layer_not_ignored(facts: Facts) -> Iterator[Hit]:
    """Report dense routers, towers and other special layers that a class target may reach.

    ## What it checks
    A router, a vision or audio layer, a projector or an unfamiliar matrix is stored dense, and only the class target `Linear` or a
    pattern says otherwise, so that it depends on the model class whether engines build it quantized: an error where vLLM was seen
    to do so, and a warning elsewhere.

    ## Why it hurts
    Where they do, vLLM copies floats into an integer parameter: experts are chosen at random, images are noise.

    ## Example
    `mlp.gate` of a MoE model that transformers builds as a class of its own: the tool skipped it, engines may not.

    ## How to mend
    Add its pattern to `ignore`, e.g. `re:.*mlp.gate$`.

    ## References
    compressed-tensors issue #733; llm-compressor issue #1306; `benchmarks/learn/unignored_layers.py`.
    """
    found = [entry for entry in with_defect(facts, Defect.PERHAPS_DENSE) if not _others_rule(entry)]
    entries = [entry for entry in found if entry.kind is not Kind.DRAFT and not _is_ignored_by_engine(entry, facts)]
    architecture = facts.config.architecture
    wrong = [
        entry for entry in entries if builds_quantized(architecture, entry.kind.value) and not _is_tolerated(entry)
    ]
    for hit in hits_of(wrong or entries, "", "add them to quantization_config.ignore"):
        yield replace(hit, severity=None if wrong else Severity.WARNING)


def _is_ignored_by_engine(entry: Entry, facts: Facts) -> bool:
    """Tell modules that `ignore` names as the engine calls them, under another prefix than the files do (transformers 5's own)."""
    names, quant = facts.names, facts.compressed_tensors
    if names is None or quant is None:
        return False
    ignore = {pattern for pattern in map(names.pattern, quant.ignore) if not pattern.startswith(REGEX_PREFIX)}
    return all(names.module(name) in ignore for name in entry.modules.names)


def _is_tolerated(entry: Entry) -> bool:
    return entry.diagnosis is not None and entry.diagnosis.tolerated


def draft_layers_not_ignored(facts: Facts) -> Iterator[Hit]:
    r"""Report dense draft layers that are not in `ignore`.

    ## What it checks
    Multi-token-prediction or draft layers are stored dense, a target reaches them, and `ignore` does not.

    ## Why it hurts
    vLLM builds the drafter quantized and fails to load it, as soon as someone turns speculative decoding on.

    ## Example
    `model.layers.61.*` of a DeepSeek-V3 checkpoint in BF16, with `"targets": ["Linear"]`.

    ## How to mend
    Add the layers to `ignore`, e.g. `re:model\\.layers\\.61\\..*` or `re:mtp\\..*`.

    ## References
    vLLM issues #53387, #43304, #41994.
    """
    found = [entry for entry in with_defect(facts, Defect.PERHAPS_DENSE) if not _others_rule(entry)]
    entries = [entry for entry in found if entry.kind is Kind.DRAFT]
    yield from hits_of(entries, "draft layer: ", "add the draft layers to quantization_config.ignore")


def format_does_not_fit(facts: Facts) -> Iterator[Hit]:
    """Report tensors in another form than the config's format.

    ## What it checks
    The parts that a module has (`weight` in I8, `weight_packed`, FP8) against the `format` of its group, or of the config.

    ## Why it hurts
    Engines create the parameters of the declared format and refuse the names of the other, or find no scheme at all.

    ## Example
    `"format": "int-quantized"` beside `weight_packed`.

    ## How to mend
    Set the format that the tensors have: `pack-quantized` for `weight_packed`, `int-quantized` for I8 `weight`.

    ## References
    vLLM 0.32.0 `compressed_tensors.py` (`_get_scheme_from_parts`).
    """
    yield from hits_of(
        with_defect(facts, Defect.WRONG_FORMAT), "", "set the format that the tensors have, on the group or the config"
    )
