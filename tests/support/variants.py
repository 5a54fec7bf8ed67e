"""Variants of the families: a config mutated at random within what real models of the family differ in."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from families import FAMILIES, build_family, settings_of
from variant_fields import DTYPES, LAYERS, PACKINGS, SHARDS, TASKS, TEXT, TOP, TOWER, VOCABULARIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from family import Family

Change = tuple[str, Any]
"""A field of the config by its dotted path, and its value."""
OTHER_TASK: Final = 0.08
"""How often a variant is of another class than the one that generates."""
DRAWS: Final = 8
"""How often a variant is drawn anew that transformers does not build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One mutated family: what was changed, how it is saved, and how its weight-only layers are to be packed."""

    family: Family
    changes: tuple[Change, ...]
    dtype: str
    shards: int
    vocab: int
    tied: bool
    packing: tuple[str, ...]

    @property
    def name(self) -> str:
        """Say what it is."""
        said = [f"{path}={value}" for path, value in self.changes]
        more = (
            f"vocab={self.vocab}",
            "tied" if self.tied else "untied",
            self.dtype,
            f"{self.shards} files",
            *self.packing,
        )
        return f"{self.family.name} {self.family.architecture}: {' '.join([*said, *more])}"

    def build(self, folder: Path) -> Path:
        """Save the checkpoint."""
        return build_family(
            self.family,
            folder,
            dtype=self.dtype,
            shards=self.shards,
            tied=self.tied,
            vocab=self.vocab,
            config=_nested(self.family, self.changes),
        )


def drawn(count: int, seed: int, names: Sequence[str] = ()) -> Iterator[Variant]:
    """Yield ``count`` variants whose config transformers accepts, the families in turns."""
    families = list(names or FAMILIES)
    random.Random(seed).shuffle(families)
    for number in range(count):
        rng = random.Random(f"{seed}-{number}")
        family = FAMILIES[families[number % len(families)]]
        found = next(filter(_is_sound, (_draw(family, rng) for _ in range(DRAWS))), None)
        if found is not None:
            yield found


def _draw(family: Family, rng: random.Random) -> Variant:
    fields = dict(_fields(_config_class(family)(**settings_of(family)).to_dict()))
    paths = rng.sample(sorted(fields), min(len(fields), rng.randint(1, 5)))
    if rng.random() < OTHER_TASK:
        family = _other_task(family, rng)
    return Variant(
        family=family,
        changes=tuple((path, rng.choice(others)) for path in paths if (others := fields[path])),
        dtype=rng.choice(DTYPES),
        shards=rng.choice(SHARDS),
        vocab=rng.choice([size for size in VOCABULARIES if size >= family.vocab or not family.multimodal]),
        tied=family.tied if rng.random() < 0.7 else not family.tied,
        packing=rng.choice(PACKINGS),
    )


def _fields(settings: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the fields that can be changed, of every level of a config, with their values."""
    kind = (
        TOWER
        if any(word in path for word in ("vision", "audio", "image"))
        else TEXT
        if path or not _wraps(settings)
        else TOP
    )
    for key, value in settings.items():
        if isinstance(value, dict):
            if key.endswith("config"):
                yield from _fields(value, f"{path}{key}.")
        elif key in kind:
            yield f"{path}{key}", tuple(other for other in kind[key] if other != value)


def _wraps(settings: Mapping[str, Any]) -> bool:
    return any(isinstance(value, dict) and key.endswith("config") for key, value in settings.items())


def _other_task(family: Family, rng: random.Random) -> Family:
    import transformers

    base = family.architecture.partition("For")[0]
    others = [base + task for task in TASKS if hasattr(transformers, base + task)]
    return (
        replace(family, architecture=rng.choice(others), head=None)
        if others and base != family.architecture
        else family
    )


def _nested(family: Family, changes: Sequence[Change]) -> dict[str, Any]:
    """Return what overrides the family's config; lists that go by layer are made to fit another number of layers."""
    over: dict[str, Any] = {}
    for path, value in changes:
        *parents, key = path.split(".")
        level, original = over, settings_of(family)
        for parent in parents:
            level, original = level.setdefault(parent, {}), original.get(parent, {})
        level[key] = copy.deepcopy(value)
        if key in LAYERS:
            for name, entries in original.items():
                if isinstance(entries, list) and len(entries) == original.get(key) and name not in level:
                    level[name] = [entries[layer % len(entries)] for layer in range(value)]
    return over


def _is_sound(variant: Variant) -> bool:
    """Whether transformers builds it, without a byte."""
    import torch
    import transformers

    over = _nested(variant.family, variant.changes)
    settings = settings_of(variant.family, tied=variant.tied, vocab=variant.vocab, config=over)
    try:
        with torch.device("meta"):
            getattr(transformers, variant.family.architecture)(_config_class(variant.family)(**settings))
    except Exception:  # noqa: BLE001  # whatever it says to a config that makes no sense
        return False
    return True


def _config_class(family: Family) -> Any:
    import transformers

    return getattr(transformers, family.architecture).config_class
