"""Variants of the families: a config mutated at random within what real models of the family differ in."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Final

from families import FAMILIES, build_family, settings_of
from variant_fields import DTYPES, LAYERS, PACKINGS, SHARDS, TASKS, TEXT, TOP, TOWER, VOCABULARIES

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from family import Family

Change = tuple[str, Any]
"""A field of the config by its dotted path, and its value."""
OTHER_TASK: Final = 0.08
"""How often a variant is of another class than the one that generates."""
OTHER_TIE: Final = 0.2
"""How often a family's tie is turned."""
DRAWS: Final = 8
"""How often a variant is drawn anew that transformers does not build, or engines do not divide."""
HEADS: Final = ("num_attention_heads", "num_key_value_heads")
LARGEST: Final = 100_000_000
"""More numbers than a tiny model has: another class that reads nothing of a family's small config is built at full size."""
WIDTHS: Final = frozenset({"hidden_size", "head_dim", *HEADS})
"""What a family's own sections of rotary dimensions go with."""


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
            config=overrides(self.family, self.changes),
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
    known = fields_of(family)
    if "mrope_section" in str(family.config):
        known = {path: values for path, values in known.items() if path.rpartition(".")[2] not in WIDTHS}
    paths = rng.sample(sorted(known), min(len(known), rng.randint(1, 5)))
    if rng.random() < OTHER_TASK:
        family = _other_task(family, rng)
    return Variant(
        family=family,
        changes=tuple((path, rng.choice(others)) for path in paths if (others := known[path])),
        dtype=rng.choice(DTYPES),
        shards=rng.choice(SHARDS),
        vocab=rng.choice([size for size in VOCABULARIES if size >= family.vocab or not family.multimodal]),
        tied=family.tied if rng.random() > OTHER_TIE else not family.tied,
        packing=rng.choice(PACKINGS),
    )


def fields_of(family: Family, *, switches: re.Pattern[str] | None = None) -> dict[str, tuple[Any, ...]]:
    """Return what of a family's config can be changed, by dotted path, with the other values; more ``switches`` by their names."""
    return dict(_fields(_config_class(family)(**settings_of(family)).to_dict(), "", switches))


def _fields(
    settings: Mapping[str, Any], path: str, switches: re.Pattern[str] | None
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield the fields of every level of a config with their other values; kinds of layers are made alike."""
    known = _kind_of(settings, path)
    for key, value in settings.items():
        if isinstance(value, dict):
            if key.endswith("config"):
                yield from _fields(value, f"{path}{key}.", switches)
        elif key in known:
            yield f"{path}{key}", tuple(other for other in known[key] if other != value)
        elif isinstance(value, bool) and switches is not None and switches.search(key):
            yield f"{path}{key}", (not value,)
        elif known is TEXT and isinstance(value, list) and len(value) > 1 and set(map(type, value)) == {str}:
            yield f"{path}{key}", tuple([kind] * len(value) for kind in sorted(set(value)))


def _kind_of(settings: Mapping[str, Any], path: str) -> Mapping[str, tuple[Any, ...]]:
    if any(word in path for word in ("vision", "audio", "image")):
        return TOWER
    return TEXT if path or not _wraps(settings) else TOP


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


def overrides(family: Family, changes: Sequence[Change]) -> dict[str, Any]:
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
    over = overrides(variant.family, variant.changes)
    outline = outline_of(variant.family, over, tied=variant.tied, vocab=variant.vocab)
    return outline is not None and outline.numbers <= LARGEST and all(map(_divides, _levels(outline.config)))


def _levels(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from _levels(value)


def _divides(level: Mapping[str, Any]) -> bool:
    heads, shared = (level.get(key) for key in HEADS)
    return not isinstance(heads, int) or not isinstance(shared, int) or (shared > 0 and heads % shared == 0)


@dataclass(frozen=True, slots=True)
class Outline:
    """What transformers makes of a config, without a byte: its config as it saves it, and the tensors' shapes."""

    config: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]

    @property
    def numbers(self) -> int:
        """Count the elements of all tensors."""
        return sum(map(prod, self.shapes.values()))


def outline_of(family: Family, over: Mapping[str, Any], **options: Any) -> Outline | None:
    """Return the outline of a family with other values in its config; None where transformers builds no such model."""
    import torch
    import transformers

    try:
        made = _config_class(family)(**settings_of(family, config=over, **options))
        with torch.device("meta"):
            model = getattr(transformers, family.architecture)(made)
    except Exception:  # noqa: BLE001  # whatever it says to a config that makes no sense
        return None
    config = json.loads(made.to_json_string()) | {"architectures": [family.architecture]}
    return Outline(config, {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()})


def _config_class(family: Family) -> Any:
    import transformers

    return getattr(transformers, family.architecture).config_class
