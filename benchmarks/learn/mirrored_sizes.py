"""Learn sizes that a skeleton does not know yet from vLLM's own builds, where layers may have numbers of their own.

    python -m benchmarks.learn.mirrored_sizes --vllm-python ENV/bin/python --work DIR [--families NAME ...]

The models of `tests/support/mirrors/mirrored_layers.py`, and of `mirrored_text.py` those that are named, are built with one number
of their config changed (`layer_builds.py`), and with fewer layers. Of the numbers that stretch a dimension, sums of products are
tried, each layer's own numbers in the place of the config's; what fits every build is kept, and a size that a build contradicts is
learnt anew. Wrappers have the sizes of the text model inside. The result goes into `ctq/engines/data/skeletons.json`. Nothing is
downloaded; builds are kept in DIR.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from mirrored_layers import MIRRORED_LAYERS
from mirrored_text import MIRRORED_TEXT

from benchmarks.learn.layer_builds import COUNT, Builder, Json, Made, numbers_in, with_value
from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import candidates, value, written
from benchmarks.learn.skeletons import DATA, write
from ctq.checkpoint.config import ModelConfig
from ctq.engines.data_file import read_data
from ctq.engines.skeletons.dimensions import dimension
from ctq.engines.skeletons.engine_places import own_name
from ctq.engines.skeletons.find import skeleton_named
from ctq.engines.skeletons.layer_numbers import numbers_by_layer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctq.engines.skeletons.skeleton import Skeleton

    Sample = tuple[tuple[int, ...], dict[str, int]]

NUMBER: Final = re.compile(r"(?<=\.)\d+(?=\.|$)")
FEWER: Final = 2
"""Layers that the shortest of the models has less."""


def main() -> None:
    options = script(__doc__, "vllm_python", "work", "families").parse_args()
    known: Json = json.loads(DATA.read_text())["architectures"]
    builders: dict[str, list[Builder]] = defaultdict(list)
    rows = {row.name: row for row in (*MIRRORED_TEXT, *MIRRORED_LAYERS)}
    for row in [rows[name] for name in options.families or ()] or MIRRORED_LAYERS:
        if row.architecture in known:
            builders[row.architecture].append(Builder(row, options.work, options.vllm_python))
    for architecture, group in builders.items():
        samples, movers = samples_of(group, architecture)
        for tensor, slot in known[architecture]["tensors"].items():
            for axis, expression in learn(tensor, slot[1], samples, movers):
                slot[1] = slot[1] or [None] * len(samples[tensor][0][0])
                slot[1][axis] = expression
                print(architecture, tensor, axis, expression, sep="; ", flush=True)
    for wrapper, inner in read_data("layer_numbers")["inside"].items():
        if inner in builders:
            adopt(known[wrapper]["tensors"], skeleton_named(inner), known[inner]["tensors"])
    write(known)


def samples_of(builders: Sequence[Builder], architecture: str) -> tuple[dict[str, list[Sample]], dict[str, set[str]]]:
    """Return the shapes of each tensor, by its template, with the numbers of its layer, and which numbers stretch it."""
    skeleton = skeleton_named(architecture)
    ways = read_data("layer_numbers")["architectures"].get(architecture, {}).get("numbers", {})
    samples: dict[str, list[Sample]] = defaultdict(list)
    movers: dict[str, set[str]] = defaultdict(set)
    for builder in builders:
        config = builder.config
        paths = {path: size for path, size in numbers_in(config) if size > 0 and path != COUNT}
        fewer = {COUNT: shorter(config)} if COUNT in config else {}
        made = builder.build({"": config} | fewer | {path: with_value(config, path, 2 * paths[path]) for path in paths})
        usual = made[""]
        for path, one in made.items():
            if one is None or usual is None:
                continue
            moved = {name for name, shape in one.shapes.items() if usual.shapes.get(name, shape) != shape}
            for name, shape in one.shapes.items():
                tensor = own_name(skeleton, NUMBER.sub("#", name))
                samples[tensor].append((shape, numbers_of(name, one, skeleton)))
                if name in moved:
                    movers[tensor].add(stands_for(path, ways))
    return samples, movers


def shorter(config: Json) -> Json:
    """Return a config of fewer layers."""
    count = int(config[COUNT])
    cut = {
        key: value[: count - FEWER] for key, value in config.items() if isinstance(value, list) and len(value) == count
    }
    listed = {
        key: {layer: own for layer, own in value.items() if int(layer) < count - FEWER}
        for key, value in config.items()
        if isinstance(value, dict) and value and all(word.isdecimal() for word in value)
    }
    return {**config, **cut, **listed, COUNT: count - FEWER}


def stands_for(path: str, ways: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return the number of the config that another one, or an entry of a list, stands for in its layers."""
    pattern = re.sub(r"\.\d+(?=\.|$)", ".#", path, count=1)
    return next(
        (key for key, each in ways.items() for way in each if pattern in (way.get("takes"), way.get("entry"))), path
    )


def numbers_of(name: str, made: Made, skeleton: Skeleton) -> dict[str, int]:
    """Return the numbers of a config, of a layer's tensor with those that the layer has of its own."""
    own = numbers_by_layer(ModelConfig(made.config), skeleton)
    layer = NUMBER.search(name)
    mine = own[int(layer[0])] if layer is not None and int(layer[0]) < len(own) else {}
    both = {**made.config, **mine}
    return {key: size for key, size in both.items() if type(size) is int}


def learn(
    tensor: str,
    known: Sequence[str | None] | None,
    samples: Mapping[str, Sequence[Sample]],
    movers: Mapping[str, set[str]],
) -> Iterator[tuple[int, str | None]]:
    """Yield the dimensions of a tensor that are not known yet, or not right, with what they are made of."""
    found = samples.get(tensor, ())
    if len({len(shape) for shape, _ in found}) != 1:
        return
    for axis in range(len(found[0][0])):
        expression = known[axis] if known and axis < len(known) else None
        sizes = [(shape[axis], numbers) for shape, numbers in found]
        if expression is not None and _is_right(expression, sizes):
            continue
        fitted = None
        if len({size for size, _ in sizes}) > 1:
            keys = sorted(key for key in movers.get(tensor, ()) if "." not in key and key != COUNT)
            keys += [COUNT] if all(COUNT in numbers for _, numbers in sizes) else []
            told = [(size, numbers) for size, numbers in sizes if all(key in numbers for key in keys)]
            fits = (terms for terms in candidates(keys) if all(value(terms, own) == size for size, own in told))
            fitted = next(fits, None) if told else None
        if fitted is not None or expression is not None:
            yield axis, written(fitted) if fitted is not None else None


def _is_right(expression: str, sizes: Sequence[tuple[int, Mapping[str, int]]]) -> bool:
    return all(dimension(expression, ModelConfig(dict(numbers))) in (None, size) for size, numbers in sizes)


def adopt(tensors: Json, text: Skeleton, inside: Mapping[str, Any]) -> None:
    """Give the tensors of a wrapper the sizes of those of its text model that they stand for."""
    for name, slot in tensors.items():
        own = own_name(text, name)
        if own in inside and inside[own][1]:
            slot[1] = list(inside[own][1])


if __name__ == "__main__":
    main()
