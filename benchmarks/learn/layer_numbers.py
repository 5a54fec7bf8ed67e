"""Learn which numbers of a config differ by layer, and which tensors only some layers have, from what vLLM's own classes build.

    python -m benchmarks.learn.layer_numbers --vllm-python ENV/bin/python --work DIR [--families NAME ...]

Each model of `tests/support/mirrors/mirrored_layers.py` is built with one value of its config changed. A number that stretches in
some layers what another stretches in the rest stands for that one there; which list or switch of the config chooses those layers
shows when it is turned. Of tensors that not every layer has, the kinds of layers are found that hold in every build. The result,
`ctq/engines/data/layer_numbers.json`, is what inspection works sizes out by. Nothing is downloaded; builds are kept in DIR.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from mirrored_layers import MIRRORED_LAYERS

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.layer_builds import (
    COUNT,
    Builder,
    Footprint,
    Json,
    Made,
    axes_of,
    doubled,
    layers_of,
    numbers_in,
    with_value,
    without,
)
from benchmarks.learn.options import script
from ctq.checkpoint.config import ModelConfig
from ctq.engines.data_file import read_data
from ctq.engines.skeletons.layer_numbers import OWN, is_of_kind
from ctq.engines.skeletons.layer_numbers import layers_of as layers_by_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

DATA: Final = ENGINE_DATA / "layer_numbers.json"
ABOUT: Final = (
    "Numbers that layers have of their own, and tensors that not all of them have: made by benchmarks/learn/layer_numbers.py. By "
    "architecture and number the ways in which a layer comes to it, the first that the config goes: the `entry` of a list, or "
    "what a kind of layers `takes` instead (`unsaid`: where that is left out), or so many `times` the number. Kinds are told by a "
    "`list` in which the layer `is` something (or what stands at `named`), or as the `last`, and by a `switch`. By tensor `in` "
    "which kinds of layers it is, or in all `but` which. `inside` are text models that wrappers hold, whatever they are called."
)
ENTRY: Final = re.compile(r"\.\d+(?=\.|$)")
MOST_KINDS: Final = 2


def main() -> None:
    options = script(__doc__, "vllm_python", "work", "families").parse_args()
    known: Json = json.loads(DATA.read_text())["architectures"] if DATA.exists() else {}
    groups: dict[str, list[Builder]] = defaultdict(list)
    for row in MIRRORED_LAYERS:
        if not options.families or row.name in options.families:
            groups[row.architecture].append(Builder(row, options.work, options.vllm_python))
    for architecture, builders in groups.items():
        numbers: dict[str, list[Json]] = {}
        for builder in builders:
            for key, way in learn(builder):
                if way not in numbers.setdefault(key, []):
                    numbers[key].append(way)
        for ways in numbers.values():
            ways.sort(key=lambda way: "entry" not in way)
        made = [(one, builder.config) for builder in builders for one in builder.made]
        known[architecture] = {"numbers": numbers, "tensors": dict(tensors_of(made))}
        print(architecture, json.dumps(known[architecture], indent=1), flush=True)
    write_tables(DATA, ABOUT, architectures=known, inside=inside(known, options.vllm_python))


def learn(builder: Builder) -> Iterator[tuple[str, Json]]:
    """Yield the numbers that layers of one model have of their own, each with the way in which they come to it."""
    first, config = _one(builder, builder.config), builder.config
    if first is None:
        print("not built:", config["architectures"])
        return
    stretched = footprints(builder, config)
    plain = _without_lists(config, stretched)
    shared = {path: axes_of(marks) for path, marks in (footprints(builder, plain) if plain != config else {}).items()}
    entries: dict[str, list[str]] = defaultdict(list)
    prepare(builder, {path: number for path in stretched if (number := replaced(path, stretched, config)) is not None})
    for path, marks in stretched.items():
        if ENTRY.search(path):
            layer = int(ENTRY.findall(path)[0].removeprefix("."))
            if layers_of(marks) == {layer}:
                entries[ENTRY.sub(".#", path, count=1)].append(path)
            continue
        number = replaced(path, stretched, config)
        kind = kind_of(builder, path, stretched[path]) if number is not None else None
        if number is not None and kind is not None:
            yield number, kind | {"takes": path} | unsaid(builder, path, number, layers_of(marks))
    for pattern, paths in entries.items():
        axes = frozenset[tuple[str, int]]().union(*(axes_of(stretched[path]) for path in paths))
        numbers = [key for key, marks in shared.items() if "." not in key and marks == axes]
        yield (
            numbers[0] if numbers else pattern.rpartition(".")[2].replace("#", pattern.partition(".#")[0]),
            {"entry": pattern},
        )
    yield from wider(builder, stretched)


def prepare(builder: Builder, numbers: Mapping[str, str]) -> None:
    """Have everything built that will be asked for of some numbers, by what they stand for: one start of vLLM is slow."""
    config = builder.config
    configs = [{**config, key: not value} for key, value in config.items() if isinstance(value, bool)]
    for path, number in numbers.items():
        turned = [{**config, key: not value} for key, value in config.items() if isinstance(value, bool)]
        lists = {kind["list"] for kind in kinds_in(config, path) if "list" in kind}
        turned += [{**config, key: config[key][::-1]} for key in lists]
        configs += [*turned, *(with_value(one, path, 2 * _at(config, path)) for one in turned)]
        configs += [without(config, path), with_value(config, path, _at(config, number))]
    builder.build({str(place): one for place, one in enumerate(configs)})


def footprints(builder: Builder, config: Json) -> dict[str, Footprint]:
    """Return where each number of a config stretches layers, if it is doubled; those that stretch none are left out."""
    numbers = {path: value for path, value in numbers_in(config) if value > 0 and path != COUNT}
    made = builder.build({"": config} | {path: with_value(config, path, 2 * value) for path, value in numbers.items()})
    found = {path: doubled(made[""], made[path]) for path in numbers}
    return {path: marks for path, marks in found.items() if marks}


def _without_lists(config: Json, stretched: Mapping[str, Footprint]) -> Json:
    """Return a config without the lists whose entries stretch single layers."""
    lists = {ENTRY.split(path)[0] for path in stretched if ENTRY.search(path)}
    for path in lists:
        config = without(config, path)
    return config


def replaced(path: str, stretched: Mapping[str, Footprint], config: Json) -> str | None:
    """Return the number of the config that another one stands for in its layers: it stretches the same in the rest."""
    mine, its = axes_of(stretched[path]), layers_of(stretched[path])
    likeness: dict[str, float] = {}
    for key, marks in stretched.items():
        axes = axes_of(marks)
        if "." not in key and key in config and (axes <= mine or mine <= axes) and not layers_of(marks) & its:
            likeness[key] = len(axes & mine) / len(axes | mine)
    best = [key for key, value in likeness.items() if value == max(likeness.values())]
    if path in best or len(its) == int(config[COUNT]):
        return None
    others = [key for key in best if not _is_special(key, path)]
    return others[0] if len(others) == 1 else None


def _is_special(key: str, path: str) -> bool:
    """Tell a number that is called after another one, which then is the general one (`global_head_dim`)."""
    return set(path.rpartition(".")[2].split("_")) < set(key.split("_"))


def kind_of(builder: Builder, path: str, marks: Footprint) -> Json | None:
    """Return what kind of layers takes a number: by a list of the config, and by a switch if it is turned off with it."""
    config = builder.config
    kinds = [kind for kind in kinds_in(config, path) if _is_where(marks, kind, _one(builder, config))]
    if len(kinds) > 1:
        kinds = [kind for kind in kinds if "list" not in kind or _follows(builder, path, kind)]
    if not kinds:
        return None
    switches = {key: value for key, value in config.items() if isinstance(value, bool)}
    turned = {key: {**config, key: not value} for key, value in switches.items()}
    stretched = {f"{key} ": with_value(turned[key], path, 2 * _at(config, path)) for key in switches}
    made = builder.build(turned | stretched)
    for key, value in switches.items():
        one, other = made[key], made[f"{key} "]
        if one is not None and other is not None and not doubled(one, other):
            return {**kinds[0], "switch": [key, value]}
    return kinds[0]


def kinds_in(config: Json, path: str = "") -> Iterator[Json]:
    """Yield the kinds of layers that a config tells apart: by lists, or as the last ones."""
    count = int(config[COUNT])
    beside = _at(config, path.rpartition(".")[0]) if "." in path else {}
    for key, entries in config.items():
        if isinstance(entries, list) and len(entries) >= count:
            for value in dict.fromkeys(entry for entry in entries[:count] if isinstance(entry, int | str)):
                named = next((word for word, name in beside.items() if name == value), None)
                told = {"is": value} if named is None else {"named": f"{path.rpartition('.')[0]}.{named}"}
                yield {"list": key, **told}
        elif type(entries) is int and 0 < entries < count and "layer" in key:
            yield {"last": key}


def _follows(builder: Builder, path: str, kind: Json) -> bool:
    """Tell whether the layers that take a number are others when the list is turned round."""
    turned = {**builder.config, kind["list"]: builder.config[kind["list"]][::-1]}
    made = builder.build({"": turned, path: with_value(turned, path, 2 * _at(turned, path))})
    return _is_where(doubled(made[""], made[path]), kind, made[""])


def _is_where(marks: Footprint, kind: Json, made: Made | None) -> bool:
    """Tell a kind of layers that is marked wherever it has the marked tensors, and is alone in that."""
    if made is None:
        return False
    marked = {inside for inside, _ in axes_of(marks)}
    having = {layer for layer, inside, _ in made.in_layers() if inside in marked}
    return layers_of(marks) == _chosen(kind, made.config) & having


def _chosen(kind: Json, config: Json) -> frozenset[int]:
    model, count = ModelConfig(config), int(config[COUNT])
    return frozenset(layer for layer in range(count) if is_of_kind(kind, layer, count, model))


def unsaid(builder: Builder, path: str, number: str, layers: frozenset[int]) -> Json:
    """Return what a kind of layers takes where the config leaves its number out: that of all others, or one of the class's own."""
    config = builder.config
    other = _at(config, number)
    made = builder.build({"": without(config, path), OWN: with_value(config, path, other), "as it is": config})
    left_out, shared, usual = made[""], made[OWN], made["as it is"]
    if left_out is None or usual is None:
        return {}
    if shared is not None and left_out.shapes == shared.shapes:
        return {"unsaid": OWN}
    one, its = ({(layer, inside): shape for layer, inside, shape in build.in_layers()} for build in (left_out, usual))
    ratios = {
        size / before
        for place, shape in one.items()
        if place[0] in layers
        for size, before in zip(shape, its.get(place, shape), strict=False)
        if size != before
    }
    size = ratios.pop() * _at(config, path) if len(ratios) == 1 else 0.5
    return {"unsaid": int(size)} if size == int(size) else {}


def wider(builder: Builder, stretched: Mapping[str, Footprint]) -> Iterator[tuple[str, Json]]:
    """Yield numbers that a switch doubles in the last layers."""
    config = builder.config
    switches = {key: value for key, value in config.items() if isinstance(value, bool)}
    made = builder.build({"": config} | {key: {**config, key: not value} for key, value in switches.items()})
    for key, value in switches.items():
        usual, turned = (made[""], made[key])[:: -1 if value else 1]
        marks = doubled(usual, turned)
        numbers = [number for number, whole in stretched.items() if axes_of(whole) == axes_of(marks)]
        kinds = [kind for kind in kinds_in(config) if _is_where(marks, kind, usual)]
        if marks and len(numbers) == 1 and len(kinds) == 1:
            yield numbers[0], {**kinds[0], "switch": [key, True], "times": 2}


def tensors_of(made: Sequence[tuple[Made, Json]]) -> Iterator[tuple[str, Json]]:
    """Yield the tensors that layers of some kinds have and others lack, with these kinds, as every build shows them."""
    having: dict[str, list[tuple[Made, frozenset[int]]]] = {}
    inside = {name for one, _ in made for _, name, _ in one.in_layers() if "#" not in name}
    for name in sorted(inside):
        having[name] = [
            (one, frozenset(layer for layer, other, _ in one.in_layers() if other == name)) for one, _ in made
        ]
    for name, seen in having.items():
        if all(len(layers) in (0, one.count) for one, layers in seen):
            continue
        configs = list({json.dumps(config, sort_keys=True): config for _, config in made}.values())
        rule = next((rule for rule in _rules(configs, seen) if _holds(name, rule, seen)), None)
        if rule is None:
            print("no rule for", name)
        else:
            yield name, rule


def _rules(configs: Sequence[Json], seen: Sequence[tuple[Made, frozenset[int]]]) -> Iterator[Json]:
    """Yield what may tell which layers have a tensor, the simplest first."""
    told = {json.dumps(kind): kind for config in configs for kind in kinds_in(config)}
    switches = sorted({key for config in configs for key, value in config.items() if isinstance(value, bool)})
    turned = [{**kind, "switch": [key, value]} for kind in told.values() for key in switches for value in (True, False)]
    kinds = [*told.values(), *turned]
    single = [kind for kind in kinds if any(len(_chosen(kind, one.config)) for one, _ in seen)]
    for count in range(1, MOST_KINDS + 1):
        for chosen in itertools.combinations(single, count):
            yield from ({way: list(chosen)} for way in ("but", "in"))


def _holds(name: str, rule: Json, seen: Sequence[tuple[Made, frozenset[int]]]) -> bool:
    return all(layers_by_rule(ModelConfig(one.config), {name: rule}).get(name) == layers for one, layers in seen)


def inside(known: Json, python: Path) -> dict[str, str]:
    """Return the wrappers with a skeleton whose class in vLLM names a text model of which layers are known."""
    registry = registered_classes(installed(python, "model_executor/models/registry.py"))
    found: dict[str, str] = {}
    for name, entry in read_data("skeletons")["architectures"].items():
        if entry["inner"] is None or name not in registry:
            continue
        source = ast.parse(installed(python, f"model_executor/models/{registry[name][0]}.py"))
        owner = next(
            node for node in ast.walk(source) if isinstance(node, ast.ClassDef) and node.name == registry[name][1]
        )
        named = re.findall(r"architectures=\['(\w+)'\]", ast.unparse(owner))
        if len(named) == 1 and named[0] in known:
            found[name] = named[0]
    return found


def _one(builder: Builder, config: Json) -> Made | None:
    return builder.build({"": config})[""]


def _at(config: Json, path: str) -> Any:  # noqa: ANN401 - whatever a JSON file holds
    value: Any = config
    for word in path.split("."):
        value = value[int(word) if isinstance(value, list) else word]
    return value


if __name__ == "__main__":
    main()
