"""The head as the files and the config have it: found, matched, and one state with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.inspect.facts.entries import HEAD_CLASSES, KNOWN_CLASSES, Entry, Patterns, State
from ctq.inspect.modules.forms import Form, stored_form
from ctq.inspect.modules.patterns import Match
from ctq.inspect.modules.words import scheme_words
from ctq.recipe.heads import HEAD_NAMES, WEIGHT_PARTS, Head, find_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.header import TensorInfo
    from ctq.inspect.modules.grouping import ModuleSet
    from ctq.recipe.quant_config import QuantConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedHead:
    """The head of a checkpoint, of which ``ctq.engines.verdicts.head_facts.HeadFacts`` has what engines look at.

    ``entry`` is the head's own module in the files, None where it is tied or absent; ``embedding`` the input embedding's weight
    tensor; ``others`` further modules that ``re:.*lm_head$`` would also reach.
    """

    name: str | None
    state: State
    scheme: str | None
    format: str | None
    match: Match
    tensors: tuple[str, ...]
    reason: str
    entry: Entry | None
    embedding: str | None
    others: tuple[str, ...] = ()

    @property
    def by_name(self) -> bool:
        """Whether a target names the head, rather than a class of layers that it belongs to."""
        return self.match.target is not None and self.match.target not in KNOWN_CLASSES


def locate_head(sets: Sequence[ModuleSet], config: ModelConfig, tensors: Mapping[str, TensorInfo]) -> Head | None:
    """Find the head among the sets; a head that has lost its weight but kept other tensors is still the head."""
    few = {
        name: tensors[name]
        for modules in sets
        if _may_matter(modules)
        for name in _weights(modules)
        if name in tensors  # experts in one tensor have names of their own
    }
    head = find_head(config, few)
    if head is not None and head.tensor is not None:
        return head
    orphan = next((modules for modules in sets if _is_orphan(modules)), None)
    if orphan is None or (head is not None and orphan.parts.keys() == {"bias"}):  # a tied head may have a bias
        return head
    embedding = head.embedding if head is not None else None
    return Head(name=orphan.names[0], tensor=f"{orphan.names[0]}.weight", embedding=embedding)


def _may_matter(modules: ModuleSet) -> bool:
    """Keep what could be a head or an embedding: those have no number in their names, but for odd heads."""
    return modules.count == 1 or modules.leaf in HEAD_NAMES or modules.leaf.endswith("lm_head")


def _weights(modules: ModuleSet) -> list[str]:
    return [f"{name}.{part}" for name in modules.names for part in WEIGHT_PARTS if part in modules.parts]


def _is_orphan(modules: ModuleSet) -> bool:
    return modules.count == 1 and modules.leaf == "lm_head" and stored_form(modules.parts) is Form.NO_WEIGHT


def inspect_head(
    head: Head | None, entries: Sequence[Entry], patterns: Patterns, quant: QuantConfig | None, *, seen_all: bool
) -> InspectedHead:
    """Judge the head: its own tensors against the config, or what the config says of a head that has none.

    ``seen_all`` is False where some files could not be read: then it may be in those.
    """
    entry = next((entry for entry in entries if entry.is_head), None)
    if head is None:
        reason = "the model has no head" if seen_all else "the files that could be read do not show it"
        return _without_tensors(None, State.ABSENT, Match(None, None), None, reason)
    if entry is None:
        return _tied(head, patterns)
    module = entry.modules.names[0]
    raw = quant.raw if quant is not None else {}
    return InspectedHead(
        name=module,
        state=entry.state,
        scheme=scheme_words(entry.stored, raw),
        format=_format(entry, quant),
        match=entry.match,
        tensors=tuple(entry.modules.first_tensors),
        reason=_reason(entry, quant),
        entry=entry,
        embedding=head.embedding,
        others=head.others,
    )


def _format(entry: Entry, quant: QuantConfig | None) -> str | None:
    if not entry.stored.is_quantized:
        return None
    if quant is not None and not quant.is_compressed_tensors:
        return quant.method
    return entry.format or str(entry.stored.form)


def _reason(entry: Entry, quant: QuantConfig | None) -> str:
    if entry.diagnosis is not None and entry.diagnosis.breaks:
        return entry.diagnosis.detail
    stored = "stored quantized" if entry.stored.is_quantized else "stored dense"
    if quant is None:
        return f"{stored}, no quantization config"
    if not quant.is_compressed_tensors:
        return f"{stored} by {quant.method or 'an unnamed method'}"
    if entry.match.ignored_by is not None:
        return f"{stored}, ignored by `{entry.match.ignored_by}`"
    if entry.match.target is not None:
        return f"{stored}, matched by `{entry.match.target}`"
    return f"{stored}, no target matches"


def _tied(head: Head, patterns: Patterns) -> InspectedHead:
    """Judge a head without tensors, which shares the embedding's: healthy, unless the config declares it quantized by name."""
    target = patterns.targets.first([head.name], HEAD_CLASSES)[0]
    ignored = patterns.ignore.first([head.name], HEAD_CLASSES)[0]
    match = Match(target, ignored)
    if match.declared and target not in KNOWN_CLASSES:  # a class target leaves it tied in vLLM, which serves it dense
        reason = (
            f"target `{target}` declares it quantized, but the files hold no tensors for it (tied to {head.embedding})"
        )
        return _without_tensors(head, State.BROKEN, match, head.embedding, reason)
    return _without_tensors(head, State.TIED, match, head.embedding, f"no tensors of its own: tied to {head.embedding}")


def _without_tensors(
    head: Head | None, state: State, match: Match, embedding: str | None, reason: str
) -> InspectedHead:
    return InspectedHead(
        name=head.name if head is not None else None,
        state=state,
        scheme=None,
        format=None,
        match=match,
        tensors=(),
        reason=reason,
        entry=None,
        embedding=embedding,
        others=head.others if head is not None else (),
    )
