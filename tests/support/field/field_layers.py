"""Layers dropped, repeated and counted otherwise, and lists of their types."""

from __future__ import annotations

import re
from random import Random
from typing import Final

from field_kind import add, kind
from field_model import Model, Skip, pick, rows

LAYER_COUNTS: Final = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


def _count(m: Model, change: int) -> None:
    holder, key = m.key(*LAYER_COUNTS)
    holder[key] += change


add("one layer fewer counted", lambda m, d: _count(m, -1))


add("one layer more counted", lambda m, d: _count(m, 1))


@kind
def last_layer_dropped(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    m.drop(f"{prefix}{numbers[-1]}")


@kind
def first_layer_dropped_and_counted(m: Model, d: Random) -> None:
    prefix, _ = m.layers()
    m.drop(f"{prefix}0")
    _count(m, -1)


@kind
def last_layer_dropped_and_counted(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    m.drop(f"{prefix}{numbers[-1]}")
    _count(m, -1)


@kind
def first_layer_dropped_renumbered_and_counted(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    m.drop(f"{prefix}0")
    m.rename(lambda name: re.sub(rf"^{re.escape(prefix)}(\d+)\.", lambda f: f"{prefix}{int(f[1]) - 1}.", name))
    _count(m, -1)
    if d.random() < 0.5 and isinstance(m.text.get("layer_types"), list):
        m.text["layer_types"] = m.text["layer_types"][1:]
    _ = numbers


def _repeat(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    source, new = pick(d, numbers), numbers[-1] + 1
    for name, raw in m.layer(source).items():
        m.put(f"{prefix}{new}.{name}", raw)
    kinds = m.text.get("layer_types")
    if isinstance(kinds, list):
        kinds.append(kinds[source])


@kind
def a_layer_repeated_and_counted(m: Model, d: Random) -> None:
    _repeat(m, d)
    _count(m, 1)


@kind
def a_layer_repeated_and_not_counted(m: Model, d: Random) -> None:
    _repeat(m, d)


@kind
def a_layer_repeated_and_lists_not_extended(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    kept = list(kinds) if isinstance(kinds, list) else None
    _repeat(m, d)
    _count(m, 1)
    if kept is None:
        raise Skip
    m.text["layer_types"] = kept


@kind
def a_layer_of_a_larger_model(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    start = f"{prefix}{pick(d, numbers)}."
    for name, raw in list(m.tensors.items()):
        if name.startswith(start) and len(raw.shape) == 2:
            m.put(name, rows(rows(raw, raw.shape[0] * 2), raw.shape[1] * 2, 1))


@kind
def layer_types_too_short(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    if not isinstance(kinds, list):
        raise Skip
    kinds.pop()


@kind
def layer_types_too_long(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    if not isinstance(kinds, list):
        raise Skip
    kinds.append(kinds[-1])


@kind
def layer_types_otherwise(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    if not isinstance(kinds, list):
        raise Skip
    kinds[d.randrange(len(kinds))] = pick(
        d, ("full_attention", "sliding_attention", "linear_attention", "attention", "mamba", "chunked_attention")
    )


@kind
def layer_types_reversed(m: Model, d: Random) -> None:
    kinds = m.text.get("layer_types")
    if not isinstance(kinds, list) or kinds == kinds[::-1]:
        raise Skip
    kinds.reverse()


@kind
def layer_types_added(m: Model, d: Random) -> None:
    if "layer_types" in m.text:
        raise Skip
    m.text["layer_types"] = ["full_attention"] * int(m.text.get("num_hidden_layers", 2))
