"""Values of a config by dotted path (`text_config.rope_parameters.factor`)."""

from __future__ import annotations

from typing import Any, Final

GONE: Final = "(deleted)"
"""The value of a key that is left out."""


def put(config: dict[str, Any], path: str, value: object) -> None:
    """Change one value in place; raises `KeyError` where a level, or what is to be left out, is not there."""
    *levels, key = path.split(".")
    for level in levels:
        config = config[level]
    if value == GONE:
        del config[key]
    else:
        config[key] = value
