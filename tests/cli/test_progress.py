"""What a run says while it lasts: to a person at a terminal, and to a log."""

from __future__ import annotations

import contextlib
import os
import pty
import threading
from typing import TYPE_CHECKING

import pytest
from builders import tiny_checkpoint

from ctq.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHECK = "checking the result"


@contextlib.contextmanager
def a_terminal_as_stderr(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Yield the pieces that the terminal is sent; all of them are there once the block has ended."""
    monkeypatch.setenv("TERM", "xterm")
    keeper, terminal = pty.openpty()
    sent: list[bytes] = []

    def keep_reading() -> None:
        with contextlib.suppress(OSError):  # how Linux says that the other end was closed
            while piece := os.read(keeper, 4096):
                sent.append(piece)

    reader = threading.Thread(target=keep_reading)
    reader.start()
    with os.fdopen(terminal, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        yield sent
    reader.join()
    os.close(keeper)


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), ["quantizing", _CHECK]), (("--no-verify",), ["quantizing"]), (("--quiet",), []), (("--json",), [])],
    ids=["default", "unchecked", "quiet", "json"],
)
def test_a_terminal_names_what_is_waited_for(
    options: tuple[str, ...], expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tiny_checkpoint(tmp_path / "source"), tmp_path / "out"
    with a_terminal_as_stderr(monkeypatch) as sent:
        assert run(["quantize", str(source), "-o", str(out), "--include-lm-head", *options]) == 0
    words = b"".join(sent).decode()
    assert [job for job in ("quantizing", _CHECK) if job in words] == expected
    assert bool(words) == bool(expected)


def test_a_log_has_nothing_to_tell_of_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tiny_checkpoint(tmp_path / "source"), tmp_path / "out"
    assert run(["quantize", str(source), "-o", str(out), "--include-lm-head"]) == 0
    assert capsys.readouterr().err == "quantizing 755 kB\n"
