"""Families as far as this machine can build them: what it cannot is not learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from families import build

if TYPE_CHECKING:
    from pathlib import Path


def built(name: str, folder: Path, **options: Any) -> Path | None:  # noqa: ANN401 - those of `families.build`
    """Build the family called ``name``; print why not, and return None, where that fails."""
    try:
        return build(name, folder, **options)
    except Exception as error:  # noqa: BLE001 - transformers raises what it likes
        print(f"{name}: not built: {error}")
        return None
