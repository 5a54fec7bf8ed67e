"""What vLLM asks of the values in a tower's config beyond the sizes of tensors: numbers that divide others, and functions it has.

The data is made by ``benchmarks/learn/tower_rules.py`` from loads by vLLM 0.32.0; of other architectures the rules of their towers'
types hold, and of functions that any engine has them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.config import dotted
from ctq.engines.configs.tower_fields import has_known_type, towers_of
from ctq.engines.configs.towers import tower_number
from ctq.engines.data_file import of_architecture, read_data
from ctq.engines.skeletons.find import has_learnt_towers
from ctq.engines.vllm_models.activations import named, takes
from ctq.engines.vllm_models.known_names import activations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.configs.tower_fields import Tower
    from ctq.engines.refused import Refused

_FUNCTION = re.compile(r"(^|_)(act|act_fn|activation|activation_function)$")
"""Keys that hold the name of an activation function."""
_ABSENT = "(absent)"
"""What a key holds that is not stated: no value that a config would have."""


def refused_by_towers(config: ModelConfig) -> Iterator[Refused]:
    """Yield each key of a tower, by dotted path, with whose value vLLM builds no model, with the reason."""
    above = of_architecture("tower_rules", config.architecture, {}).get("", {})
    yield from _unfit("", config.raw, above)
    for tower in towers_of(config):
        rules = _rules(config, tower)
        if not has_known_type(tower) and not rules.get("any_type"):
            stated = tower.level.get("model_type")
            yield f"{tower.path}.model_type", f"{stated!r} is no model type that transformers has"
        yield from _unfit(tower.path, tower.level, rules)
        yield from _undivided(tower, rules, config)
        yield from _unknown_functions(tower, rules)


def _unfit(path: str, level: Mapping[str, Any], rules: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield values that are null or 0 where that is not taken, and words that are not."""
    nulls = (key for key in rules.get("needed", ()) if _stated(level, key) is None)
    zeros = (key for key in rules.get("nonzero", ()) if _stated(level, key) == 0)
    yield from ((dotted(path, key), "is null, where vLLM needs a value") for key in nulls)
    yield from ((dotted(path, key), "is 0, which vLLM does not bear") for key in zeros)
    for key, words in rules.get("only", {}).items():
        value = _stated(level, key)
        if isinstance(value, str) and value not in (_ABSENT, *words):
            yield dotted(path, key), f"'{value}' is not taken by vLLM's class, which has {', '.join(words)}"


def _undivided(tower: Tower, rules: Mapping[str, Any], config: ModelConfig) -> Iterator[Refused]:
    """Yield numbers that do not divide the one that vLLM divides by them."""
    for one, other in rules.get("divides", ()):
        size, by = tower_number(config, f"{tower.path}.{one}"), tower_number(config, f"{tower.path}.{other}")
        if size is not None and by and size % by:
            yield f"{tower.path}.{other}", f"{by} does not divide {one} = {size}"


def _unknown_functions(tower: Tower, rules: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield activation functions that vLLM's class does not take, of towers without rules those that no engine has."""
    functions = rules.get("activations", {})
    for key, value in tower.level.items():
        if not isinstance(value, str) or not _FUNCTION.search(key):
            continue
        if key in functions and not takes(functions[key], value):
            yield f"{tower.path}.{key}", f"'{value}' is not taken by vLLM's class, which has {named(functions[key])}"
        elif not rules and value.lower() not in activations():
            yield f"{tower.path}.{key}", f"'{value}' is no activation that engines have"


def _stated(level: Mapping[str, Any], key: str) -> object:
    """Return what a level states under a dotted path, null too; `_ABSENT` where it states nothing."""
    value: object = level
    for word in key.split("."):
        if not isinstance(value, dict) or word not in value:
            return _ABSENT
        value = value[word]
    return value


def _rules(config: ModelConfig, tower: Tower) -> Mapping[str, Any]:
    data = read_data("tower_rules")
    known: Mapping[str, Any] | None = data["architectures"].get(config.architecture or "", {}).get(tower.path)
    of_type: Mapping[str, Any] | None = data["types"].get(tower.model_type)
    if known is not None and (of_type is None or has_learnt_towers(config)):
        return known
    return of_type or {}
