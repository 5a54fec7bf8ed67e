"""Standard output whose reader may leave early, or that is closed: what was found out decides the exit code, not who listened."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO


def open_closed_streams() -> None:
    """Let output that was closed from the start (`>&-`) go nowhere, before a file that is opened takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8"))  # noqa: PTH123, SIM115  # for good


class PatientStream:
    """A text stream that drops what is written after it met an error that it ``forgives``; everything else is the stream's own.

    That is a reader who has gone (EPIPE), or whatever keeps messages from being written where nothing else could tell of it.
    """

    def __init__(self, stream: TextIO, *, forgives: type[OSError] = BrokenPipeError) -> None:
        self._stream, self._forgives = stream, forgives

    def write(self, text: str) -> int:
        """Write ``text``, or drop it."""
        try:
            return self._stream.write(text)
        except self._forgives:
            self.hang_up()
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of ``lines``."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush, or drop what there is."""
        try:
            self._stream.flush()
        except self._forgives:
            self.hang_up()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the stream has
        return getattr(self._stream, name)

    def hang_up(self) -> None:
        """Let what is written go nowhere, and what the stream has held back: the interpreter flushes it as it ends."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self._stream.fileno())
        os.close(null)
