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
            yield ",\n".join(f"  {json.dumps(item)}" for item in entry)
            yield f" ]{comma}"
        else:
            yield f" {json.dumps(key)}: {json.dumps(entry)}{comma}"
    yield "}"
