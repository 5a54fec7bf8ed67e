"""Room is taken before anything is written, where the filesystem knows how."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ctq.quantize.reserve import reserve

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("nbytes", [0, 1, 5_000_000])
def test_a_file_has_its_size_and_reads_as_zeros(tmp_path: Path, nbytes: int) -> None:
    descriptor = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"x" * 10_000_000)
    os.ftruncate(descriptor, 0)
    reserve(descriptor, nbytes)
    os.close(descriptor)
    assert (tmp_path / "a").read_bytes() == bytes(nbytes)


def test_what_was_written_stays(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    reserve(descriptor, 100_000)
    os.pwrite(descriptor, b"done", 50_000)
    reserve(descriptor, 100_000)
    assert os.pread(descriptor, 4, 50_000) == b"done"
    os.close(descriptor)
