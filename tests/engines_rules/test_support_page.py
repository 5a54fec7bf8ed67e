"""The pages on architectures are what the data says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("script", "page"), [("support_page", "support.md"), ("conformance.architectures_page", "architectures.md")]
)
def test_the_page_is_up_to_date(script: str, page: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{script}"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / page).read_text() == made, f"python -m benchmarks.{script} > docs/{page}"
