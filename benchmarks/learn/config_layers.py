"""Learn which kind of layer transformers' config classes assume for each layer, where a config does not list them.

    python -m benchmarks.learn.config_layers

Every config class of a model that generates text is made with different numbers of layers and nothing else: what its list of layers
begins with and what repeats in it is `ctq/engines/data/config_layers.json`, with the keys that change it. Nothing is downloaded.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import textwrap
import warnings
from dataclasses import fields
from typing import Any, Final, TypeAlias

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.config_fields import generating
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script

DATA: Final = ENGINE_DATA / "config_layers.json"
KEYS: Final = ("layer_types", "layers_block_type", "mlp_layer_types")
COUNT: Final = "num_hidden_layers"
FEW: Final = (4, 5, 11)
MANY: Final = 96
LONGEST: Final = 12
"""Layers of which a pattern is made at most."""
Kinds: TypeAlias = list[str]


def main() -> None:
    script(__doc__).parse_args()
    warnings.filterwarnings("ignore")
    found = {name: layers_of(CONFIG_MAPPING[name]) for name in sorted(generating())}
    about = (
        "Which kinds of layers transformers' config classes assume: made by benchmarks/learn/config_layers.py. By model type and "
        "list: what it begins with, what repeats after that until there is one for each layer (nothing: the list is as long as it "
        "is), keys whose other values change it, and the kind of the last layer, if it is one whatever the pattern has there."
    )
    write_tables(DATA, about, models=found)


def layers_of(cls: type) -> dict[str, list[list[str]]]:
    """Return for each list of a class what it begins with, what repeats, and the keys that change it."""
    found: dict[str, list[list[str]]] = {}
    for key in KEYS:
        usual = made(cls, key)
        if key not in {field.name for field in fields(cls)} or not usual:
            continue
        many = made(cls, key, {COUNT: MANY})
        first, then = pattern(many) if many and len(many) == MANY else (usual, [])
        few = {count: made(cls, key, {COUNT: count}) for count in FEW} if then else {}
        last = last_of(few, many)
        if len(first) == MANY or any(kinds != [*many[: count - len(last)], *last] for count, kinds in few.items()):
            continue
        found[key] = [first, then, changing(cls, key, usual), *([last] if last else [])]
    return found


def last_of(few: dict[int, Kinds], many: Kinds) -> Kinds:
    """Return the kind that a class gives the last layer, whatever the pattern has there; nothing where it gives it none."""
    ends = {kinds[-1] for kinds in few.values() if kinds}
    is_other = any(kinds != many[:count] for count, kinds in few.items())
    return [*ends] if is_other and len(ends) == 1 else []


def made(cls: type, key: str, over: dict[str, Any] | None = None) -> Kinds:
    """Return a list of a class made with some keys changed; empty where it does not take them."""
    with contextlib.suppress(Exception):  # whatever a class says against the values
        value = getattr(cls(**(over or {})), key, None)
        if isinstance(value, list) and all(isinstance(kind, str) for kind in value):
            return value
    return []


def pattern(kinds: Kinds) -> tuple[Kinds, Kinds]:
    """Return what a list begins with and what repeats to its end: the shortest of both."""
    for start in range(LONGEST):
        for period in range(1, LONGEST):
            if all(kinds[layer] == kinds[layer + period] for layer in range(start, len(kinds) - period)):
                return kinds[:start], kinds[start : start + period]
    return kinds, []


def changing(cls: type, key: str, usual: Kinds) -> list[str]:
    """Return the keys that a class reads, fields of it or not, whose other values change a list."""
    usual_of = vars(cls())
    found = []
    for name in sorted({*(field.name for field in fields(cls)), *words_of(cls)} - {*KEYS, COUNT}):
        value = usual_of.get(name)
        others: list[object] = (
            [not value] if isinstance(value, bool) else [value + 1, 1] if isinstance(value, int) else []
        )
        if value is None or isinstance(value, list):
            others = [[0], [1], 2, 3]
        if any((other := made(cls, key, {name: new})) and other != usual for new in others):
            found.append(name)
    return found


def words_of(cls: type) -> set[str]:
    """Return what the source of a class writes in quotes that could be a key."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if text.isidentifier()}


if __name__ == "__main__":
    main()
