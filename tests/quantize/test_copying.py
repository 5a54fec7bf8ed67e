"""Byte ranges go over whole, in the kernel or without its help, and a source that ends early is named."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctq.checkpoint.reading import read_into
from ctq.quantize.copying import copy_range


@pytest.fixture
def files(tmp_path: Path) -> tuple[int, int, bytes]:
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    source = os.open(tmp_path / "a", os.O_RDONLY)
    target = os.open(tmp_path / "b", os.O_RDWR | os.O_CREAT)
    os.ftruncate(target, 3_000_100)
    return source, target, data


def _refuse(number: int) -> Callable[..., int]:
    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("source_offset", [17, 90])
@pytest.mark.parametrize("number", [None, 0, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_range_is_copied(
    files: tuple[int, int, bytes], monkeypatch: pytest.MonkeyPatch, number: int | None, source_offset: int
) -> None:
    source, target, data = files
    if number == 0:
        monkeypatch.setattr(os, "copy_file_range", lambda *_, **__: 0)
    elif number is not None:
        monkeypatch.setattr(os, "copy_file_range", _refuse(number))
    copy_range(source, target, source_offset=source_offset, target_offset=90, nbytes=2_500_001)
    assert os.pread(target, 2_500_001, 90) == data[source_offset : source_offset + 2_500_001]
    assert os.pread(target, 90, 0) == bytes(90)


def test_no_space_is_not_swallowed(files: tuple[int, int, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "copy_file_range", _refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        copy_range(files[0], files[1], source_offset=0, target_offset=0, nbytes=10)


def test_a_source_that_ends_early(files: tuple[int, int, bytes]) -> None:
    source, target, _ = files
    with pytest.raises(EOFError):
        copy_range(source, target, source_offset=2_999_999, target_offset=0, nbytes=10)
    with pytest.raises(EOFError):
        read_into(source, memoryview(bytearray(10)), 2_999_999)
