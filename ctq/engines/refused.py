"""What loaders refuse of a config, as a value."""

from __future__ import annotations

from typing import TypeAlias

Refused: TypeAlias = tuple[str, str]
"""A key by dotted path, and why its value is refused, as the rest of a sentence that begins with the key."""
