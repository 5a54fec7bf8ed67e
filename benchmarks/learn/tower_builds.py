"""Builds of a wrapper with numbers and switches of its towers' configs changed, and what dimensions and lists are made of."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from families import build_family, settings_of
from variant_fields import LAYERS
from variants import overrides

from benchmarks.learn.skeleton_fit import Axis, Build, Terms, moved, template, value
from benchmarks.learn.skeletons import read_build
from ctq.checkpoint.config import TEXT_CONFIG_KEYS, TIE_KEY

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping, Sequence, Set
    from pathlib import Path

    from family import Family

FACTORS: Final = (1, 2, 3, 4)
LONGEST: Final = 3
"""Numbers in one product: a merger is as wide as `hidden_size*spatial_merge_size*spatial_merge_size`."""
QUOTIENTS: Final = (("image_size", "patch_size"), ("hidden_size", "num_heads"), ("hidden_size", "num_attention_heads"))
"""Numbers of one config that are divided: how many patches a side has, and how wide a head of attention is."""
LENGTH: Final = ".#"
"""Stands behind the path of a list whose entries are counted."""
OF_TEXT: Final[tuple[str, ...]] = ("hidden_size", "intermediate_size", "vocab_size", "n_embd", "d_model", *LAYERS)
"""Numbers of the text model that other parts may be made of, and that of its layers, which they are not made of."""


@dataclass(frozen=True)
class Variant:
    """Numbers that were changed together, by dotted path, and what came of it."""

    over: dict[str, int]
    build: Build


class Maker:
    """Builds one family with values changed by dotted path."""

    def __init__(self, family: Family, scratch: Path) -> None:
        """Read what towers there are."""
        self.family, self.scratch, self._count = family, scratch, itertools.count()
        self.config, fixed = self._defaults()
        self.towers = {
            key: None if key in fixed else level["model_type"]
            for key, level in self.config.items()
            if isinstance(level, dict) and (level.get("model_type") or key in fixed) and key not in TEXT_CONFIG_KEYS
        }
        """The configs of towers with their model type; None where the class takes no other."""

    def _defaults(self) -> tuple[dict[str, Any], frozenset[str]]:
        import transformers

        config_class = getattr(transformers, self.family.architecture).config_class
        inside: dict[str, type] = config_class.sub_configs
        fixed = frozenset(key for key, kind in inside.items() if kind is not transformers.AutoConfig)
        return dict(config_class(**settings_of(self.family)).to_dict()), fixed

    def write(self, over: Mapping[str, Any]) -> Path | None:
        """Save a checkpoint with values changed; None where transformers builds no such model."""
        folder = self.scratch / str(next(self._count))
        over = dict(self._listed(over))
        paths = [(f"{self.family.text}.{key}" if key in OF_TEXT else key, new) for key, new in over.items()]
        try:
            return build_family(self.family, folder, config=overrides(self.family, paths))
        except Exception:  # noqa: BLE001  # whatever a model says against a value: it is not taken
            return None

    def __call__(self, over: Mapping[str, Any]) -> Build | None:
        """Return the names and sizes of such a build, its towers' numbers by dotted path."""
        folder = self.write(over)
        if folder is None:
            return None
        made = read_build(folder)
        for path in folder.glob("*.safetensors"):
            path.unlink()
        config = self.merged(over)
        inside = {
            f"{tower}.{key}": number
            for tower in self.towers
            for key, number in config[tower].items()
            if type(number) is int
        }
        inside |= {
            f"{tower}.{key}{LENGTH}": len(entries)
            for tower in self.towers
            for key, entries in config[tower].items()
            if isinstance(entries, list) and entries and "index" in key
        }
        beside = {key: number for key, number in config.items() if type(number) is int}
        text = {key: made.numbers[key] for key in OF_TEXT if key in made.numbers}
        divided = {
            f"{tower}.{one}/{tower}.{other}": inside[f"{tower}.{one}"] // inside[f"{tower}.{other}"]
            for tower in self.towers
            for one, other in QUOTIENTS
            if inside.get(f"{tower}.{one}") and inside.get(f"{tower}.{other}")
        }
        return Build(made.shapes, {**beside, **text, **inside, **divided}, made.switches)

    def merged(self, over: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config as the class has it with values changed at the top or in a tower."""
        config = {key: dict(level) if isinstance(level, dict) else level for key, level in self.config.items()}
        for path, new in self._listed(over):
            tower, _, key = path.rpartition(".")
            if tower in self.towers:
                config[tower][key] = new
            elif not tower and key in config and key not in OF_TEXT:
                config[key] = new
        return config

    def _listed(self, over: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield values with lists of a length in the place of their length: the first entry again and again."""
        for path, new in over.items():
            whole = path.removesuffix(LENGTH)
            tower, _, key = whole.rpartition(".")
            yield whole, self.config[tower][key][:1] * new if whole != path else new

    def changes(self, numbers: Mapping[str, int]) -> Iterator[Variant]:
        """Yield each number changed, alone or with the first other of its config that makes it fit."""
        for key, size in numbers.items():
            beside = {
                other: number for other, number in numbers.items() if other != key and _level(other) == _level(key)
            }
            tries: list[dict[str, int]] = [{key: 2 * size}, {key: size + 1}, {key: size // 2}]
            tries += [{key: 2 * size, other: 2 * number} for other, number in beside.items()]
            made = ((over, self(over)) for over in tries if all(over.values()))
            found = next(((over, build) for over, build in made if build is not None), None)
            if found is not None:
                yield Variant(*found)

    def moved_by_ratios(self, first: Build) -> Iterator[Axis]:
        """Yield the dimensions that go with a ratio of a tower's config, which is no whole number: of those nothing is fitted."""
        for tower in self.towers:
            for key, usual in self.config[tower].items():
                made = self({f"{tower}.{key}": 2 * usual}) if isinstance(usual, float) and "ratio" in key else None
                yield from moved(first, made) if made is not None else ()

    def switches(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, Any, Any]]:
        """Yield each switch and each list of a tower's config with another value, and the usual one."""
        for path, level in (("", self.config), *((tower, self.config[tower]) for tower in self.towers)):
            for key, usual in level.items():
                full = f"{path}.{key}" if path else key
                if key == TIE_KEY:
                    continue
                if isinstance(usual, bool) and (pattern.search(key) or key.startswith("use_") or "head" in key):
                    yield full, not usual, usual
                elif isinstance(usual, list) and "index" in key and usual:
                    yield full, [], usual


def _level(path: str) -> str:
    return path.rpartition(".")[0]


def fit(axis: Axis, first: Build, variants: Sequence[Variant], untested: Set[int]) -> Terms | None:
    """Return the simplest sum of products of the numbers that move a dimension; None where there is none.

    A factor that may be a number which no build changed is not trusted.
    """
    builds = [first, *(variant.build for variant in variants)]
    sizes = {
        (shape[axis[1]], tuple(build.numbers.items()))
        for build in builds
        for name, shape in build.shapes.items()
        if template(name) == axis[0] and len(shape) > axis[1]
    }
    movers = {key for variant in variants if axis in moved(first, variant.build) for key in variant.over}
    keys = [key for key in first.numbers if movers & set(key.split("/"))]
    samples = [(size, dict(numbers)) for size, numbers in sizes]
    for terms in _candidates(keys):
        if all(value(terms, numbers) == size for size, numbers in samples):
            factors = {factor for factor, _ in terms if factor > 1}
            return None if any(factor % size == 0 for factor in factors for size in untested) else terms
    return None


def _candidates(keys: Sequence[str]) -> Iterator[Terms]:
    products = [
        product for size in range(1, LONGEST + 1) for product in itertools.combinations_with_replacement(keys, size)
    ]
    for product, factor in itertools.product(products, FACTORS):
        yield ((factor, product),)
    short = [product for product in products if len(product) < LONGEST]
    yield from (((1, product), (1, ())) for product in short)
    for one, other in itertools.combinations(short, 2):
        for factor in FACTORS[:2]:
            yield ((1, one), (factor, other))
