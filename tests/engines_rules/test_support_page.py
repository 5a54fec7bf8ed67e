"""The page on supported architectures is what the data says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date() -> None:
    page = subprocess.run(
        [sys.executable, "benchmarks/support_page.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "docs/support.md").read_text() == page, "python benchmarks/support_page.py > docs/support.md"
