"""JSON as commands print it: one object, compact and readable, and JSON whatever numbers a checkpoint's config holds."""

from __future__ import annotations

import json
import math
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
            yield f" {json_text(key)}: ["
            yield ",\n".join(f"  {text}" for text in _texts(entry))
            yield f" ]{comma}"
        else:
            yield f" {json_text(key)}: {json_text(entry)}{comma}"
    yield "}"


def _texts(entries: list[Any]) -> Iterator[str]:
    """Yield each entry as JSON; of objects that share all values but their first, as alike modules do, the rest is written once."""
    rests: dict[tuple[object, ...], str] = {}
    for entry in entries:
        if not isinstance(entry, dict) or len(entry) < 2:
            yield json_text(entry)
            continue
        key, first = next(iter(entry.items()))
        _, *others = map(id, entry.values())
        shared = (*entry, *others)
        if shared not in rests:
            rests[shared] = json_text({name: value for name, value in entry.items() if name != key}).removeprefix("{")
        yield f"{{{json_text(key)}: {json_text(first)}, {rests[shared]}"


def json_text(value: Any, *, indent: int | None = None) -> str:  # noqa: ANN401  # any value of JSON
    """Return ``value`` as JSON; numbers that it does not know (configs spell NaN and Infinity) become strings."""
    try:
        return json.dumps(value, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_spelt(value), indent=indent)


def _spelt(value: Any) -> Any:  # noqa: ANN401  # any value of JSON
    if isinstance(value, dict):
        return {key: _spelt(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_spelt(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
