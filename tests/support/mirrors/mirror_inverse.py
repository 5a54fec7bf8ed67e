"""Names that a loader of vLLM's would map to a parameter: its mappers and lists, read backwards.

Runs in vLLM's interpreter. Every candidate is checked by mapping it forward, so that what is wrong here is left out, not invented.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

Row = tuple[str, str, Any]
"""One row of a loader's own list: the parameter's part of a name, the files', and the shard."""
Shard = Any
MOST = 400
"""Candidates that are followed of one name."""
_GROUP = re.compile(r"\((?!\?)([^()]*)\)")
_REFERENCE = re.compile(r"\\(?:g<)?(\d)>?")


def inverse_of_list(name: str, rows: Iterable[Row]) -> list[tuple[str, Shard]]:
    """Return the files' names for each shard of a parameter, by a list of (parameter, files, shard)."""
    rows, found = list(rows), {}
    for new, old, _ in rows:
        if not new or new not in name:
            continue
        candidate = name.replace(new, old)
        there = next(((candidate.replace(o, n), shard) for n, o, shard in rows if o in candidate), None)
        if there and there[0] == name:
            found.setdefault(repr(there[1]), (candidate, there[1]))
    return list(found.values())


def inverse_of_mapper(name: str, mapper: Any, *, prefixed: bool = True) -> list[tuple[str, Shard]]:
    """Return the first name for each shard that a ``WeightsMapper`` maps to ``name``; parts, where it fuses any.

    Unless ``prefixed`` names with a longer prefix are left out.
    """
    shards: dict[str, tuple[str, Shard]] = {}
    for candidate in _candidates(name, mapper, prefixed=prefixed):
        mapped = mapper._map_name_with_shard(candidate)
        if mapped is not None and mapped[0] == name:
            shards.setdefault(repr(mapped[1]), (candidate, mapped[1]))
    if len(shards) > 1:
        shards.pop(repr(None), None)
    return list(shards.values())


def _candidates(name: str, mapper: Any, *, prefixed: bool) -> list[str]:
    names = [name]
    names = _each(names, mapper.orig_to_new_suffix.items(), _swap_suffix)
    prefixes = [(old, new) for old, new in mapper.orig_to_new_prefix.items() if prefixed or len(old) < len(new or "")]
    names = _each(names, prefixes, _swap_prefix)
    names = _each(names, [(old, new) for old, (new, _) in mapper.orig_to_new_stacked.items()], _swap_anywhere)
    for _ in range(2):  # two of its parts may have been renamed
        names = _each(names, mapper.orig_to_new_substr.items(), _swap_anywhere)
    return _each(names, mapper.orig_to_new_regex.items(), _swap_pattern)


def _each(names: list[str], pairs: Iterable[tuple[Any, str | None]], swap: Any) -> list[str]:
    kept = [(old, new) for old, new in pairs if new]
    found = [made for name in names for old, new in kept for made in swap(name, old, new)]
    return list(dict.fromkeys([*found, *names]))[:MOST]


def _swap_suffix(name: str, old: str, new: str) -> Iterator[str]:
    if name.endswith(new):
        yield name.removesuffix(new) + old


def _swap_prefix(name: str, old: str, new: str) -> Iterator[str]:
    if name.startswith(new):
        yield old + name.removeprefix(new)


def _swap_anywhere(name: str, old: str, new: str) -> Iterator[str]:
    for found in re.finditer(f"(?={re.escape(new)})", name):
        yield name[: found.start()] + old + name[found.start() + len(new) :]


def _swap_pattern(name: str, old: Any, new: str) -> Iterator[str]:
    """Read a substitution of one pattern backwards, where its text is plain but for groups."""
    pattern = old.pattern
    groups = _GROUP.findall(pattern)
    parts = _REFERENCE.split(new)
    if any(int(number) > len(groups) for number in parts[1::2]) or len(set(parts[1::2])) < len(parts[1::2]):
        return
    search = "".join(
        f"(?P<g{part}>{groups[int(part) - 1]})" if odd % 2 else re.escape(part) for odd, part in enumerate(parts)
    )
    for found in re.finditer(search, name):
        values = found.groupdict()
        numbers = iter(range(1, len(groups) + 1))
        plain = _GROUP.sub(lambda group: values.get(f"g{next(numbers)}") or group[1], pattern)  # noqa: B023 - used at once
        plain = re.sub(r"\(\?[=!<][^()]*\)", "", plain).strip("^$").replace(r"\.", ".")
        if not re.search(r"[\\\[\]*+?|]", plain):
            yield name[: found.start()] + plain + name[found.end() :]
