"""The journal remembers what is done, forgets what a kill tore, and keeps a second run out."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctq.errors import OutputError
from ctq.quantize.journal import Journal, locked, read_journal

PLAN = {"units": 3, "version": "1", "source": "a", "recipe": "b"}


def test_units_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, PLAN) as journal:
        assert journal.done == set()
        journal.mark(2)
        journal.mark(0)
    with Journal(path, PLAN) as journal:
        assert journal.done == {0, 2}


@pytest.mark.parametrize("key", ["version", "source", "recipe", "units"])
def test_another_plan_is_refused_by_what_changed(tmp_path: Path, key: str) -> None:
    path = tmp_path / "journal"
    with Journal(path, PLAN):
        pass
    with pytest.raises(OutputError, match=f"begun with another {key}"):
        Journal(path, {**PLAN, key: "changed"})


def test_a_torn_line_does_not_count_and_does_not_join_the_next(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, PLAN) as journal:
        journal.mark(1)
    path.write_bytes(path.read_bytes() + b"12")
    with Journal(path, PLAN) as journal:
        assert journal.done == {1}
        journal.mark(2)
    assert read_journal(path)[1] == {1, 2}


@pytest.mark.parametrize("content", [b"", b"{", b"garbage\n1\n", b"[]\n1\n", b'{"units": 3}\nx\n', b"\xff\xfe\n"])
def test_a_journal_that_is_none_counts_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    assert read_journal(path) == (None, set())
    with Journal(path, PLAN) as journal:
        assert journal.done == set()


def test_after_another_boot_nothing_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    with Journal(path, PLAN) as journal:
        journal.mark(1)
    monkeypatch.setattr("ctq.quantize.journal.boot_id", lambda: "another boot")
    with Journal(path, PLAN) as journal:
        assert journal.done == set()


def test_the_lock_dies_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    code = f"""
import sys; from pathlib import Path; from ctq.quantize.journal import Journal
journal = Journal(Path({str(path)!r}), {PLAN!r}); print("held", flush=True); sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match="another run is writing it"):
            Journal(path, PLAN)
        owner.kill()
        owner.wait()
        with Journal(path, PLAN) as journal:
            assert journal.done == set()


def test_forgetting_keeps_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, PLAN) as journal:
        journal.mark(1)
        journal.forget()
        journal.mark(2)
    with Journal(path, PLAN) as journal:
        assert journal.done == {2}


def test_the_lock_of_a_journal_that_was_replaced_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    real = fcntl.flock

    def late(file: int, operation: int) -> None:
        path.rename(tmp_path / "discarded")  # by a run that held the lock until now
        path.touch()
        real(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(OutputError, match="another run is writing it"):
        Journal(path, PLAN)


def test_the_lock_can_be_held_without_changing_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with locked(path):
        assert not path.exists()
    path.write_bytes(b"anything")
    with locked(path), pytest.raises(OutputError, match="another run is writing it"):
        Journal(path, PLAN)
    assert path.read_bytes() == b"anything"


def test_gigabytes_are_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"units": 3}\n1\n')
    os.truncate(path, 10**11)  # a hole: it costs nothing to make
    assert read_journal(path) == (None, set())
