"""The data that rules of engines stand on: JSON files in ``data/``, each made by a script of ``benchmarks/`` that it names."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

_FOLDER: Final = Path(__file__).parent / "data"
"""By path: ``importlib.resources`` imports archives and temporary files, a tenth of what `ctq inspect` needs to start."""


@cache
def read_data(name: str) -> dict[str, Any]:
    """Return the object in ``data/NAME.json``, which is read once."""
    data: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_bytes())
    return data


def of_architecture(name: str, architecture: str | None, default: Any = None) -> Any:  # noqa: ANN401  # any JSON
    """Return what ``data/NAME.json`` holds of an architecture, or ``default``."""
    return read_data(name)["architectures"].get(architecture or "", default)
