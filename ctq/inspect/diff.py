"""Two checkpoints side by side: what differs in their modules, schemes, sizes and configs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ctq.checkpoint.config import dotted
from ctq.inspect.modules.fold import counted_name
from ctq.inspect.modules.grouping import ModuleSet
from ctq.inspect.modules.words import scheme_words
from ctq.inspect.report import SCHEMA_VERSION, checkpoint_json, head_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.inspect.facts.entries import Entry
    from ctq.inspect.facts.facts import Facts
    from ctq.inspect.report import Report


@dataclass(frozen=True, slots=True)
class Change:
    """Modules that are not the same: how each checkpoint stores them (None: not at all), and the bytes of all of them."""

    modules: str
    before: str | None
    after: str | None
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One key of ``config.json`` (a dotted path) that differs; None where it is missing."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What changed from one checkpoint to another."""

    before: Report
    after: Report
    modules: tuple[Change, ...]
    config: tuple[ConfigChange, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the difference as the JSON object of `ctq inspect --diff --json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "before": checkpoint_json(self.before.facts) | {"lm_head": head_json(self.before.facts.head)},
            "after": checkpoint_json(self.after.facts) | {"lm_head": head_json(self.after.facts.head)},
            "modules": [asdict(change) for change in self.modules],
            "config": [asdict(change) for change in self.config],
        }


def compare(before: Report, after: Report) -> Difference:
    """Compare two reports; values of tensors are not compared."""
    return Difference(
        before=before,
        after=after,
        modules=tuple(_module_changes(before.facts, after.facts)),
        config=tuple(_config_changes("", before.facts.config.raw, after.facts.config.raw)),
    )


class _Kept(NamedTuple):
    """How a module is stored: it is the same in both checkpoints when all of this is."""

    words: str
    nbytes: int
    parts: frozenset[object]


class _Place(NamedTuple):
    template: str
    name: str
    numbers: tuple[int, ...]


def _module_changes(before: Facts, after: Facts) -> Iterator[Change]:
    first, second = dict(_kept(before)), dict(_kept(after))
    changed: dict[tuple[str, _Kept | None, _Kept | None], list[_Place]] = defaultdict(list)
    for place in dict.fromkeys((*first, *second)):
        old, new = first.get(place), second.get(place)
        if old != new:
            changed[place.template, old, new].append(place)
    for (template, old, new), places in changed.items():
        names, numbers = tuple(place.name for place in places), tuple(place.numbers for place in places)
        yield Change(
            modules=counted_name(ModuleSet(template, names, numbers, {})),
            before=old.words if old else None,
            after=new.words if new else None,
            bytes_before=old.nbytes * len(places) if old else 0,
            bytes_after=new.nbytes * len(places) if new else 0,
        )


def _kept(facts: Facts) -> Iterator[tuple[_Place, _Kept]]:
    for entry in facts.entries:
        modules = entry.modules
        kept = _Kept(_words(entry, facts), modules.nbytes_each, frozenset(modules.parts.items()))
        for name, numbers in zip(modules.names, modules.numbers, strict=True):
            yield _Place(modules.template, name, numbers), kept


def _words(entry: Entry, facts: Facts) -> str:
    words = scheme_words(entry.stored, facts.raw_quantization)
    if words is not None:
        return words
    weight = next(iter(entry.modules.parts.values()))
    return f"dense {weight.dtype} {list(weight.shape)}"


def _config_changes(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[ConfigChange]:
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key), after.get(key)
        where = dotted(path, key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _config_changes(where, old, new)
        elif old != new:
            yield ConfigChange(where, old, new)
