"""Any key of the config, at any depth, changed in one way: what no kind of change was thought of for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from field_kind import add
from field_model import Model, pick

TRIFLES: Final = frozenset({"transformers_version", "_name_or_path", "id2label", "label2id", "version"})
"""Keys that nothing reads."""
CHANGES: Final[dict[str, Callable[[Any, Random], Any]]] = {
    "null": lambda value, d: None,
    "as a text": lambda value, d: str(value),
    "in a list": lambda value, d: [value],
    "doubled": lambda value, d: value * 2 if _is_number(value) else (*value, *value) and [*value, *value],
    "one more or less": lambda value, d: value + pick(d, (-1, 1)),
    "zero": lambda value, d: type(value)(0) if _is_number(value) else type(value)(),
    "negative": lambda value, d: -abs(value) or -1,
    "the other": lambda value, d: not value if isinstance(value, bool) else f"{value}_v2",
}
"""What becomes of a value; one that it does not suit raises a `TypeError`, and another is drawn."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _places(level: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield every key with the object that it is in."""
    for key, value in level.items():
        if key not in TRIFLES:
            yield level, key
        if isinstance(value, dict):
            yield from _places(value)


def _any_key(change: Callable[[Any, Random], Any]) -> Callable[[Model, Random], None]:
    def changed(m: Model, d: Random) -> None:
        places = [*_places(m.config)]
        d.shuffle(places)
        for level, key in places:
            try:
                new = change(level[key], d)
            except TypeError:
                continue
            if new != level[key] or type(new) is not type(level[key]):
                level[key] = new
                return

    return changed


def _any_key_dropped(m: Model, d: Random) -> None:
    level, key = pick(d, [*_places(m.config)])
    del level[key]


def _any_key_in_another_place(m: Model, d: Random) -> None:
    levels = [m.config, *(value for level, key in _places(m.config) if isinstance(value := level[key], dict))]
    level, key = pick(d, [*_places(m.config)])
    pick(d, [other for other in levels if other is not level])[key] = level.pop(key)


add("any key dropped", _any_key_dropped)
add("any key in another place", _any_key_in_another_place)
for _name, _change in CHANGES.items():
    add(f"any key {_name}", _any_key(_change))
