"""Progress as values: long jobs report what they do, and only the command line shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """A job begins; ``nbytes`` is how many bytes it will read, None where it counts none, and ``what`` names it."""

    what: str
    nbytes: int | None


@dataclass(frozen=True, slots=True)
class Advanced:
    """``nbytes`` more bytes are done; ``tensor`` is the one being worked on."""

    nbytes: int
    tensor: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The job named ``what`` is done."""

    what: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a person should know; it does not stop the job."""

    message: str


Event = Started | Advanced | Finished | Noted
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:  # the default listener listens to nothing
    """Drop the event."""
