"""Numbers of a config that its layers do not share: wider heads in layers of global attention, a list with one number to a layer.

The data is made by ``benchmarks/learn/layer_numbers.py`` from models that vLLM 0.32.0 builds. It tells by architecture of which
numbers some layers take another one, and which layers have a tensor that others lack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from ctq.engines.configs.fields import known_number, stated, switch_value
from ctq.engines.configs.layer_lists import assumed_layers
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import read_data
from ctq.engines.skeletons.indexers import indexed_layers
from ctq.engines.skeletons.layer_counts import layer_count
from ctq.engines.vllm_models.causal_lms import causal_lm_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.skeletons.skeleton import Skeleton

    Way = Mapping[str, Any]

Numbers: TypeAlias = "Mapping[str, int | None]"
"""The numbers that one layer takes instead of the config's own; None for those that it takes of what is not known."""
OWN = "own"
"""What a layer takes for a number of its kind that the config leaves out: the number of all others."""
_LAYER = "#"


def numbers_by_layer(config: ModelConfig, skeleton: Skeleton) -> tuple[Numbers, ...]:
    """Return the numbers of each layer that are its own; nothing of an architecture whose layers share all of them."""
    return _numbers(config, _entry(skeleton).get("numbers", {}))


def numbers_of_layers(config: ModelConfig) -> tuple[Numbers, ...]:
    """Return the numbers of each layer that are its own in a model whose architecture may have no skeleton."""
    data, name = read_data("layer_numbers"), config.architecture or ""
    known = data["architectures"].get(data["inside"].get(name, name), {})
    return _numbers(config, known.get("numbers", {}))


def _numbers(config: ModelConfig, ways: Mapping[str, Sequence[Way]]) -> tuple[Numbers, ...]:
    count = layer_count(config) if ways else None
    found: list[dict[str, int | None]] = [{} for _ in range(count or 0)]
    for key, each in ways.items():
        for way in [one for one in each if _is_stated(one, config)][:1]:
            for layer, own in enumerate(found):
                if (value := _value(way, key, layer, len(found), config)) != OWN:
                    own[key] = value if type(value) is int else None
    return tuple(found)


def layers_with(config: ModelConfig, skeleton: Skeleton) -> dict[str, frozenset[int]]:
    """Return the layers that have each tensor which not all of them have, by what its name has behind the number of the layer.

    Left out are those of which the config does not tell.
    """
    listed = layers_of(config, _entry(skeleton).get("tensors", {}))
    return {**listed, **indexed_layers(config, skeleton.tensors)}


def layers_of(config: ModelConfig, tensors: Mapping[str, Way]) -> dict[str, frozenset[int]]:
    """Return the layers that have each tensor, by the kinds of layers that have it (``in``), or that lack it (``but``)."""
    count = layer_count(config) if tensors else None
    found: dict[str, frozenset[int]] = {}
    for name, rule in tensors.items():
        has = "in" in rule
        kinds = [
            [is_of_kind(kind, layer, count, config) for kind in rule["in" if has else "but"]]
            for layer in range(count or 0)
        ]
        if kinds and all(None not in each for each in kinds):
            found[name] = frozenset(layer for layer, each in enumerate(kinds) if any(each) is has)
    return found


def is_of_kind(kind: Way, layer: int, count: int | None, config: ModelConfig) -> bool | None:
    """Tell whether a layer is of a kind: by a list of the config, as one of the last, and where a switch is as it should be.

    None where the config does not tell.
    """
    switch = kind.get("switch")
    if switch is not None and (state := switch_value(config, switch[0])) is not switch[1]:
        return None if state is None else False
    if "last" in kind:
        last = known_number(config, kind["last"])
        return None if last is None or count is None else 0 < count - last <= layer
    if "list" not in kind:
        return True
    entries = _list(kind["list"], count or 0, config)
    wanted = _at(config, kind["named"]) if "named" in kind else kind["is"]
    if "named" in kind and wanted is None:
        return False
    return entries[layer] == wanted if entries is not None and layer < len(entries) else None


def _entry(skeleton: Skeleton) -> Mapping[str, Any]:
    """Return what is known of the layers of a model, of a wrapper those of the text model inside."""
    data = read_data("layer_numbers")
    names = (
        skeleton.text,
        data["inside"].get(skeleton.architecture),
        causal_lm_of(skeleton.inner),
        skeleton.architecture,
    )
    found: Mapping[str, Any] = next(
        (data["architectures"][name] for name in names if name in data["architectures"]), {}
    )
    return found


def _is_stated(way: Way, config: ModelConfig) -> bool:
    """Tell whether a config goes this way: it has the list of it, or says null; kinds of layers it always has."""
    if "entry" not in way:
        return True
    entries = _at(config, way["entry"].partition(f".{_LAYER}")[0], OWN)
    return entries is None or isinstance(entries, list | dict)


def _value(way: Way, key: str, layer: int, count: int, config: ModelConfig) -> object:
    """Return the number that a layer takes, `OWN` where it has none of its own; anything else is not known."""
    if "entry" in way:
        return _entry_of(way["entry"], layer, config)
    if not (is_one := is_of_kind(way, layer, count, config)):
        return OWN if is_one is False else None
    if "times" in way:
        own = known_number(config, key)
        return None if own is None else way["times"] * own
    value = _at(config, way["takes"])
    return way.get("unsaid") if value is None else value


def _entry_of(path: str, layer: int, config: ModelConfig) -> object:
    """Return what stands at a path for a layer: a list has an entry to each, an object of those that differ."""
    before, _, behind = path.partition(f".{_LAYER}")
    entries, value = _at(config, before), None
    if entries is None:
        return OWN
    if isinstance(entries, list):
        value = entries[layer] if layer < len(entries) else None
    elif isinstance(entries, dict):
        value = entries.get(str(layer), {})
    for word in filter(None, behind.split(".")):
        value = value.get(word, OWN if isinstance(entries, dict) else None) if isinstance(value, dict) else None
    return value


def _list(key: str, count: int, config: ModelConfig) -> Sequence[object] | None:
    value = stated(config, key, None)
    if value is None:
        value = assumed_layers(read_levels(config)[-1][1], key, count)
    return value if isinstance(value, list) else None


def _at(config: ModelConfig, path: str, unsaid: object = None) -> object:
    """Return what a config states at a path, innermost level first; ``unsaid`` where no level has it."""
    first, *words = path.split(".")
    value = stated(config, first, unsaid)
    for word in words:
        value = value.get(word) if isinstance(value, dict) else None
    return value
