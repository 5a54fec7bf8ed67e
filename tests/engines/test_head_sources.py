"""The stored rows of heads are those that the installed release's sources say (benchmarks/learn/vllm_heads.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.learn.heads.releases import installed, rows_at
from benchmarks.learn.heads.rows import rows_of
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


def test_the_installed_release_is_stored_as_it_is_read(vllm_python: Path) -> None:
    version, root = installed(vllm_python)
    assert rows_of(root) == rows_at(read_data("vllm_heads")["architectures"], version)
