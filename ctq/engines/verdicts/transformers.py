"""What transformers makes of a head, as seen with release 5.19 and compressed-tensors 0.17. Pure.

There a head is an ``nn.Linear``, so that ``Linear`` reaches it. What a matched module misses is left as it was allocated, what an
unmatched one cannot take is dropped or converted; most of it without an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.engine_args import parse_args
from ctq.engines.raw_config import raw_format, raw_targets, strings
from ctq.engines.verdicts.head_facts import HeadForm, Outcome, not_judged
from ctq.engines.verdicts.transformers_layers import head_name
from ctq.errors import UsageError
from ctq.recipe.match import first_match, is_match

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.engines.verdicts.head_facts import HeadFacts, Word

_CLASSES = ("Linear", "Module")
_PACKED_FORMATS = frozenset({"pack-quantized"})


@dataclass(frozen=True, slots=True)
class _Group:
    target: str
    form: HeadForm


_MATCHED: Mapping[tuple[HeadForm, HeadForm], tuple[Word, str]] = {
    (HeadForm.INT8, HeadForm.PACKED): ("fails", "transformers cannot fill int8 weights from packed ones"),
    (HeadForm.INT8, HeadForm.DENSE): ("garbage", "the head is stored dense, so that its scales stay unfilled"),
    (HeadForm.PACKED, HeadForm.INT8): ("fails", "transformers finds no packed weight and fails at the first forward"),
    (HeadForm.PACKED, HeadForm.DENSE): (
        "garbage",
        "the head is stored dense, so that its packed weight stays unfilled",
    ),
}
"""Form that the config declares and form in the files, where they differ."""


def transformers_outcome(facts: HeadFacts, version: str) -> Outcome:  # noqa: ARG001  # one behaviour is known
    """Return what transformers makes of the head."""
    if facts.is_of_another_method:
        return not_judged(facts)
    if facts.quantization is None or facts.method is None:
        return _unquantized(facts)
    try:
        group = _group(facts)
    except DispatchError as error:
        return Outcome("fails", f"compressed-tensors refuses the config: {error.message}")
    except UsageError as error:
        return Outcome("fails", error.message)
    return _unmatched(facts) if group is None else _matched(facts, group)


def _group(facts: HeadFacts) -> _Group | None:
    raw = facts.quantization or {}
    schemes = dict(raw_targets(raw))
    name = facts.name or "lm_head"
    if not is_match(name, _CLASSES, schemes, strings(raw.get("ignore"))):
        return None
    target = first_match(name, _CLASSES, schemes) or ""
    return _Group(target, _form(schemes[target], raw_format(raw, schemes[target])))


def _form(group: Mapping[str, Any], in_force: str | None) -> HeadForm:
    args = parse_args(group.get("weights"))
    if in_force in _PACKED_FORMATS:
        return HeadForm.PACKED
    return HeadForm.INT8 if args.type == "int" else HeadForm.FLOAT8 if args.num_bits == 8 else HeadForm.OTHER


def _matched(facts: HeadFacts, group: _Group) -> Outcome:
    if group.form is HeadForm.PACKED and facts.tied:
        return Outcome(
            "fails",
            "the config ties the embeddings: transformers looks for the weight of a packed head, which has none",
        )
    if facts.stored is HeadForm.ABSENT:
        return _matched_without_tensors(facts, group)
    theirs = head_name(facts.architecture)
    if theirs is not None and not f".{facts.name}".endswith(f".{theirs}"):
        return Outcome(
            "garbage", f"transformers calls this head {theirs}, and makes it up where the files call it {facts.name}"
        )
    if facts.stored is not group.form:
        word, why = _MATCHED.get(
            (group.form, facts.stored), ("garbage", f"the weight of the head is stored {facts.stored}")
        )
        return Outcome(word, f"the target {group.target} quantizes the head, but {why}")
    missing = next((name for name in _needed(group.form) if name not in facts.tensors), None)
    if missing:
        return Outcome(
            "garbage", f"the target {group.target} quantizes the head, but {facts.name}.{missing} is not in the files"
        )
    return Outcome("quantized", f"the target {group.target} quantizes the head, and its tensors load")


def _needed(form: HeadForm) -> tuple[str, ...]:
    """Return the tensors beside the weight that are used: the unpacked shape is read from the files there."""
    return ("weight_scale", "weight_shape") if form is HeadForm.PACKED else ("weight_scale",)


def _matched_without_tensors(facts: HeadFacts, group: _Group) -> Outcome:
    word: Word = "fails" if facts.tied is False and group.form is HeadForm.INT8 else "garbage"
    return Outcome(word, f"the target {group.target} quantizes the head, but the files hold no tensors of it")


def _unmatched(facts: HeadFacts) -> Outcome:
    if facts.stored is HeadForm.INT8:
        return Outcome(
            "fails",
            "no target reaches the head, or ignore does: its int8 data meets a dense product at the first forward",
        )
    if facts.is_plain:
        return _plain(facts)
    return Outcome("garbage", "no target reaches the head, or ignore does: transformers makes up a dense head")


def _unquantized(facts: HeadFacts) -> Outcome:
    if facts.is_plain:
        return _plain(facts)
    return Outcome(
        "garbage",
        "there is no quantization config: transformers takes the quantized data for values, or makes up a head",
    )


def _plain(facts: HeadFacts) -> Outcome:
    if facts.needs_no_head:
        return Outcome("dense", facts.needs_no_head)
    if facts.stored is HeadForm.ABSENT and facts.tied is False:
        return Outcome("garbage", "the config says that the head is not tied, but the files hold no tensors of it")
    return Outcome(
        "dense", "the head is the dense embedding" if facts.stored is HeadForm.ABSENT else "the head is dense"
    )
