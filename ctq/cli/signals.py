"""SIGTERM as an interrupt: threads end after their block, workers are killed, what is done stays to be resumed."""

from __future__ import annotations

import signal
from typing import NoReturn


class Terminated(SystemExit):  # like KeyboardInterrupt, no error
    """Somebody asked this process to end."""


def end_orderly_on_sigterm() -> None:
    """Raise ``Terminated`` in the main thread when SIGTERM comes, as Python raises KeyboardInterrupt for SIGINT."""
    signal.signal(signal.SIGTERM, _raise)


def _raise(number: int, frame: object) -> NoReturn:
    del number, frame
    raise Terminated
