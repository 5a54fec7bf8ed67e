"""A model's own code in two results: the same wherever it lies, beside the weights or on the hub."""

from __future__ import annotations

import json

CODE_KEY = "auto_map"
"""What names the classes of a model's own."""


def without_repository(value: object) -> object:
    """Return an `auto_map` without the repositories that it refers to."""
    if isinstance(value, dict):
        return {key: without_repository(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_repository(one) for one in value]
    return value.rpartition("--")[2] if isinstance(value, str) else value


def same_but_for_code(mine: bytes, other: bytes) -> bool:
    """Tell whether two JSON files differ in nothing but where their code lies."""
    try:
        found = [json.loads(data) for data in (mine, other)]
    except ValueError:
        return False
    if not all(isinstance(document, dict) for document in found):
        return False
    first, second = ({**document, CODE_KEY: without_repository(document.get(CODE_KEY))} for document in found)
    return first == second
