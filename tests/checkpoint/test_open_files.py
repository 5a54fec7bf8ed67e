"""Descriptors are lent, kept for the next, and never closed under somebody."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctq.checkpoint.open_files import OpenFiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        (tmp_path / str(number)).write_text(str(number))
    return tmp_path


def is_open(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def test_a_file_stays_open_until_others_need_its_place(folder: Path) -> None:
    with OpenFiles(folder, os.O_RDONLY, most=2) as files:
        with files.lease(["0"]) as lent:
            first = lent["0"]
        with files.lease(["0", "1"]) as lent:
            assert lent["0"] == first
        with files.lease(["2", "3"]):
            assert not is_open(first, folder / "0")


def test_a_file_in_use_is_not_closed_for_another(folder: Path) -> None:
    with OpenFiles(folder, os.O_RDONLY, most=2) as files:
        with files.lease(["0", "1", "2"]) as lent, files.lease(["3"]) as other:
            assert all(is_open(lent[name], folder / name) for name in lent)
            assert is_open(other["3"], folder / "3")
        with files.lease(["4"]):
            assert sum(is_open(descriptor, folder / name) for name, descriptor in lent.items()) <= 1


def test_what_cannot_be_opened_leaves_the_others_free(folder: Path) -> None:
    with OpenFiles(folder, os.O_RDONLY, most=1) as files:
        with pytest.raises(FileNotFoundError), files.lease(["0", "missing"]):
            pass
        with files.lease(["1"]) as lent:
            assert is_open(lent["1"], folder / "1")
    assert not is_open(lent["1"], folder / "1")
