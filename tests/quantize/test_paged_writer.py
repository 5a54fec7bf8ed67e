"""Bytes that come in any steps lie in the file as they came, and pieces end where pages do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctq.quantize import paged_writer
from ctq.quantize.copying import PAGE_BYTES
from ctq.quantize.paged_writer import PIECE_BYTES, PagedWriter

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def _write(target: int, offset: int, data: NDArray[np.uint8], step: int) -> None:
    writer = PagedWriter(target, offset, nbytes=len(data), step=step)
    for start in range(0, len(data), step):
        part = data[start : start + step]
        writer.room(len(part))[:] = part
        writer.took(len(part))
    writer.finish()


@given(
    offset=st.integers(0, 3 * PAGE_BYTES),
    nbytes=st.integers(0, 3 * PIECE_BYTES),
    step=st.integers(1000, PIECE_BYTES * 2),
)
def test_bytes_lie_where_they_belong(offset: int, nbytes: int, step: int) -> None:
    data = np.random.default_rng(nbytes).integers(0, 256, nbytes, np.uint8)
    target = os.memfd_create("target")
    try:
        _write(target, offset, data, step)
        assert os.pread(target, offset + nbytes + 1, 0) == (bytes(offset) + data.tobytes() if nbytes else b"")
    finally:
        os.close(target)


def test_pieces_end_where_pages_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[tuple[int, int]] = []
    monkeypatch.setattr(paged_writer, "write_fully", lambda _, data, offset: pieces.append((offset, len(data))))
    target = os.open(tmp_path / "a", os.O_RDWR | os.O_CREAT)
    _write(target, 777, np.zeros(3 * PIECE_BYTES, np.uint8), 100_000)
    os.close(target)
    ends = [offset + nbytes for offset, nbytes in pieces]
    assert [offset for offset, _ in pieces] == [777, *ends[:-1]]
    assert ends[-1] == 777 + 3 * PIECE_BYTES
    assert all(end % PAGE_BYTES == 0 for end in ends[:-1])
