"""What programs of these rooms are started with in vLLM's interpreter: none of this one's settings, and the rooms to import from."""

from __future__ import annotations

import os
from pathlib import Path


def worker_environment() -> dict[str, str]:
    """Return the environment of such a program."""
    rooms = sorted(room for room in Path(__file__).parents[1].iterdir() if room.is_dir())
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, rooms))}
