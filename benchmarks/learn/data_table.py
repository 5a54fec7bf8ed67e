"""The form of what is learnt: one JSON file, a line to a row, so that a later answer is one line of a difference."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_tables(path: Path, about: str, **tables: Mapping[str, object]) -> None:
    """Write tables by their names under what they are ``about``: rows in the order of keys, without those that say nothing."""
    parts = [f' "about": {json.dumps(about)}']
    for name, table in tables.items():
        rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in sorted(table.items()) if row)
        parts.append(f' "{name}": {{\n{rows}\n }}')
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")
