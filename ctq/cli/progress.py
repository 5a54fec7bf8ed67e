"""Progress on stderr: a bar with throughput and time left on a terminal, a plain line now and then elsewhere.

A job that counts no bytes is a few seconds of waiting: a terminal names it while it lasts, a log has nothing to tell of it.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ctq import events
from ctq.checkpoint.size import size

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE_SECONDS = 10.0
"""Seconds between plain lines: a log should show life, not scroll."""


@contextmanager
def progress(*, quiet: bool) -> Iterator[events.OnEvent]:
    """Yield a listener that shows events on stderr; it may be called from any thread."""
    if quiet:
        yield events.ignore
    elif sys.stderr.isatty():
        with _bar() as listener:
            yield listener
    else:
        yield _Lines()


class _Lines:
    """One line when a job begins, one every ten seconds, one when it ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = self._done = 0
        self._began = self._shown = 0.0

    def __call__(self, event: events.Event) -> None:
        with self._lock:
            match event:
                case events.Started(_, None):
                    pass
                case events.Started(what, int(nbytes)):
                    self._total, self._done = nbytes, 0
                    self._began = self._shown = time.monotonic()
                    click.echo(f"{what} {size(nbytes)}", err=True)
                case events.Advanced(nbytes, _):
                    self._done += nbytes
                    self._maybe_show()
                case events.Noted(message):
                    click.echo(message, err=True)
                case events.Finished():
                    pass

    def _maybe_show(self) -> None:
        now = time.monotonic()
        if now - self._shown < _LINE_SECONDS:
            return
        self._shown = now
        rate = self._done / (now - self._began)
        left = (self._total - self._done) / rate if rate else 0
        click.echo(f"{size(self._done)} of {size(self._total)}, {size(rate)}/s, {left:.0f} s left", err=True)


@contextmanager
def _bar() -> Iterator[events.OnEvent]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    waiting = (TextColumn("{task.description}", markup=False), BarColumn())
    reading = (*waiting, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def listen(event: events.Event) -> None:
            match event:
                case events.Started(what, nbytes):
                    bar.columns = waiting if nbytes is None else reading
                    tasks["now"] = bar.add_task(what, total=nbytes)
                case events.Advanced(nbytes, _):
                    bar.advance(tasks["now"], nbytes)
                case events.Noted(message):
                    bar.console.print(message, markup=False, highlight=False)
                case events.Finished():
                    pass

        yield listen
