"""The data that rules of engines stand on: JSON files in ``data/``, each made by a script of ``benchmarks/learn/``."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any


@lru_cache(maxsize=32)
def read_data(name: str) -> dict[str, Any]:
    """Return the object in ``data/NAME.json``, which is read once."""
    text = files("ctq.engines").joinpath(f"data/{name}.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data
