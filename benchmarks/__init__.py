"""Scripts that measure, compare and learn, each called from the project's folder as ``python -m benchmarks.NAME``.

They build their checkpoints with what the tests build theirs with, which is why the rooms of ``tests/support`` are looked in for
modules.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = ROOT / "benchmarks" / "results"

sys.path[:0] = map(str, sorted((ROOT / "tests" / "support").iterdir()))
