"""One JSON object as text that is compact, and still readable and greppable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def json_lines(value: dict[str, Any]) -> Iterator[str]:
    """Yield one JSON object, an entry of a list to the line: compact, and still readable and greppable."""
    last = len(value) - 1
    yield "{"
    for index, (key, entry) in enumerate(value.items()):
        comma = "," if index < last else ""
        if isinstance(entry, list) and entry:
            yield f" {json.dumps(key)}: ["
            yield ",\n".join(f"  {text}" for text in _texts(entry))
            yield f" ]{comma}"
        else:
            yield f" {json.dumps(key)}: {json.dumps(entry)}{comma}"
    yield "}"


def _texts(entries: list[Any]) -> Iterator[str]:
    """Yield each entry as JSON; of objects that share all values but their first, as alike modules do, the rest is written once."""
    rests: dict[tuple[object, ...], str] = {}
    for entry in entries:
        if not isinstance(entry, dict) or len(entry) < 2:
            yield json.dumps(entry)
            continue
        key, first = next(iter(entry.items()))
        _, *others = map(id, entry.values())
        shared = (*entry, *others)
        if shared not in rests:
            rests[shared] = json.dumps({name: value for name, value in entry.items() if name != key}).removeprefix("{")
        yield f"{{{json.dumps(key)}: {json.dumps(first)}, {rests[shared]}"
