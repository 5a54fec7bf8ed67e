"""Recipes of llm-compressor: the data-free `QuantizationModifier`; a modifier that needs calibration data is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctq.errors import UsageError
from ctq.recipe.match import matches_name
from ctq.recipe.recipe import OBSERVERS, BodyGroup, Observer, Recipe
from ctq.recipe.schemes import SCHEMES, Scheme, scheme_named, variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DATA_FREE = "QuantizationModifier"
_SCHEME_NAMES = {"INT8": "W8A8", "W8A8": "W8A8", "W8A16": "W8A16", "INT8_W8A8": "W8A8"}
_OBSERVERS: dict[str, Observer] = {
    **{name: name for name in OBSERVERS},
    "memoryless_minmax": "minmax",
    "static_minmax": "minmax",
    "memoryless_mse": "mse",
}


def is_llm_compressor(data: Mapping[str, Any]) -> bool:
    """Tell an llm-compressor recipe by its stages or modifiers."""
    return any(key.endswith(("_stage", "_modifiers")) or key[:1].isupper() for key in data)


def read_llm_compressor(data: Mapping[str, Any], *, origin: str) -> Recipe:
    """Translate an llm-compressor recipe.

    There a target `Linear` reaches the head too, so the head is included unless `ignore` names it.

    Raises:
        UsageError: a modifier that needs calibration, more than one modifier, or a scheme that ctq does not write.

    """
    modifiers = list(_modifiers(data))
    refused = [name for name, _ in modifiers if name != _DATA_FREE]
    if refused:
        raise UsageError(
            f"{refused[0]} needs calibration data; ctq rounds to nearest without any", hint=f"use {_DATA_FREE} alone"
        )
    if len(modifiers) != 1:
        raise UsageError(f"one {_DATA_FREE} is expected, found {len(modifiers)}")
    return _recipe(modifiers[0][1], origin)


def _modifiers(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in data.items():
        if key[:1].isupper() and isinstance(value, dict):
            yield key, value
        elif isinstance(value, dict):
            yield from _modifiers(value)


def _recipe(fields: Mapping[str, Any], origin: str) -> Recipe:
    ignore = tuple(_strings(fields.get("ignore"), "ignore"))
    groups = fields.get("config_groups")
    if groups is not None:
        body = tuple(_group(name, group) for name, group in _objects(groups, "config_groups"))
    else:
        body = tuple(_presets(fields))
    head_ignored = any(matches_name("lm_head", pattern) for pattern in ignore)
    reached = any(target == "Linear" or matches_name("lm_head", target) for group in body for target in group.targets)
    return Recipe(
        body=body,
        ignore=ignore,
        lm_head=reached and not head_ignored,
        observer=_observer(fields, groups),
        origin=origin,
    )


def _presets(fields: Mapping[str, Any]) -> Iterator[BodyGroup]:
    """Yield the group of a preset with the modifier's targets, or of each preset with its own (``{W8A8: [Linear]}``)."""
    scheme = fields.get("scheme")
    if isinstance(scheme, str):
        scheme = {scheme: fields.get("targets", ["Linear"])}
    if not isinstance(scheme, dict) or not scheme:
        raise UsageError("scheme: a preset's name is expected, such as W8A8, or names with their targets")
    for name, targets in scheme.items():
        yield BodyGroup(targets=tuple(_strings(targets, f"scheme.{name}")), scheme=_preset(str(name)))


def _group(name: str, group: Mapping[str, Any]) -> BodyGroup:
    targets = tuple(_strings(group.get("targets"), f"config_groups.{name}.targets"))
    weights, activations = group.get("weights"), group.get("input_activations")
    if not isinstance(weights, dict):
        raise UsageError(f"config_groups.{name}.weights: an object is expected")
    if weights.get("num_bits", 8) != 8 or weights.get("type", "int") != "int":  # the only width that ctq writes
        raise UsageError(
            f"config_groups.{name}: {weights.get('num_bits')}-bit {weights.get('type', 'int')} is not INT8"
        )
    if activations is None:
        return BodyGroup(targets=targets, scheme=_variant(SCHEMES["W8A16"], weights))
    if not isinstance(activations, dict) or not activations.get("dynamic", False):
        raise UsageError(f"config_groups.{name}: static activations need calibration data", hint="write dynamic: true")
    if activations.get("strategy", "token") != "token" or activations.get("num_bits", 8) != 8:  # one kind of kernel
        raise UsageError(f"config_groups.{name}: activations must be 8-bit per token")
    return BodyGroup(targets=targets, scheme=_variant(SCHEMES["W8A8"], weights))


def _variant(scheme: Scheme, weights: Mapping[str, Any]) -> Scheme:
    size = weights.get("group_size")
    strategy = weights.get("strategy") or ("group" if isinstance(size, int) and size > 0 else "channel")
    if strategy not in ("channel", "group"):
        raise UsageError(f"strategy {strategy} is not written; channel and group are")
    group_size = size if strategy == "group" and isinstance(size, int) else None
    return variant(scheme, strategy=strategy, group_size=group_size, symmetric=weights.get("symmetric", True))


def _preset(name: str) -> Scheme:
    if name.upper() not in _SCHEME_NAMES:
        raise UsageError(f"scheme {name} is not written by ctq", hint=f"schemes: {', '.join(SCHEMES)}")
    return scheme_named(_SCHEME_NAMES[name.upper()])


def _observer(fields: Mapping[str, Any], groups: object) -> Observer:
    named = [fields.get("weight_observer"), fields.get("observer")]
    if isinstance(groups, dict):
        named += [
            group["weights"].get("observer") for group in groups.values() if isinstance(group.get("weights"), dict)
        ]
    for name in named:
        if isinstance(name, dict):
            name = name.get("weights")
        if name is not None and name not in _OBSERVERS:
            raise UsageError(f"observer {name} is not known", hint=f"observers: {', '.join(OBSERVERS)}")
        if name is not None:
            return _OBSERVERS[name]
    return "minmax"


def _strings(value: object, key: str) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UsageError(f"{key}: a list of strings is expected")
    return items


def _objects(value: object, key: str) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise UsageError(f"{key}: an object of groups is expected")
    return list(value.items())
