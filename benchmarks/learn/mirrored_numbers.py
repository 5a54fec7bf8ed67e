"""The numbers of a wrapper's config beside its text model, and other values of each."""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmarks.learn.skeleton_towers import NO_SIZE
from benchmarks.learn.tower_builds import OF_TEXT, QUOTIENTS
from ctq.checkpoint.config import parse_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirrored import Mirrored

Json: TypeAlias = dict[str, Any]
BESIDE: Final = re.compile(r"hidden_size$|dim$|heads$")
"""Numbers that must fit others."""


def numbers_of(row: Mirrored) -> dict[str, int]:
    """Return the numbers beside the text model that a dimension may be made of, by dotted path, and the widths of that one."""
    return {key: size for key, size in every_number(row.config).items() if size > 0 and not NO_SIZE.search(key)}


def every_number(config: Mapping[str, Any]) -> dict[str, int]:
    """Return all numbers of a config beside its text model's, by dotted path; of that one those of `OF_TEXT`, by name."""
    parsed = parse_config(json.dumps(config).encode())
    texts = {path for path, _ in parsed.text_levels if path}
    found = {key: value for key, value in config.items() if type(value) is int}
    for path, level in parsed.text_levels:
        found |= {key: level[key] for key in OF_TEXT if type(level.get(key)) is int} if path else {}
    for path, level in levels_of(config):
        if path not in texts:
            found |= {f"{path}.{key}": value for key, value in level.items() if type(value) is int}
            found |= {
                f"{path}.{one}/{path}.{other}": level[one] // level[other]
                for one, other in QUOTIENTS
                if type(level.get(one)) is int and type(level.get(other)) is int and level[other]
            }
    return found


def levels_of(config: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each level inside a config by dotted path."""
    for key, value in config.items():
        if isinstance(value, dict) and "rope" not in key:
            inside = f"{path}.{key}" if path else key
            yield inside, value
            yield from levels_of(value, inside)


def doubled(key: str, numbers: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield the number twice as large."""
    if "/" not in key and key not in OF_TEXT:
        yield {key: 2 * numbers[key]}


def with_another(key: str, numbers: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield it with what it divides, or what divides it, both doubled."""
    level = key.rpartition(".")[0]
    others = [other for other in numbers if other != key and other.rpartition(".")[0] == level and BESIDE.search(other)]
    for other in others if level and "/" not in key else ():
        yield {key: 2 * numbers[key], other: 2 * numbers[other]}


def one_more(key: str, numbers: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield it one larger."""
    if "/" not in key and key not in OF_TEXT:
        yield {key: numbers[key] + 1}


def halved(key: str, numbers: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Yield half of it."""
    if "/" not in key and key not in OF_TEXT and numbers[key] > 1:
        yield {key: numbers[key] // 2}


def put(row: Mirrored, over: Mapping[str, int]) -> Json:
    """Return the config with numbers changed by dotted path."""
    config = copy.deepcopy(dict(row.config))
    for path, value in over.items():
        *parents, key = path.split(".")
        level = config
        for word in parents:
            level = level[word]
        level[key] = value
    return config


ATTEMPTS: Final = (doubled, one_more, halved, with_another)
"""What is done to a number, the first that vLLM builds counts."""
