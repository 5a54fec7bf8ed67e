"""Where text goes: results on stdout, everything else on stderr, and no name from a checkpoint trusted with the terminal.

rich decides about width (COLUMNS, the terminal, else 80), colour (NO_COLOR, not a terminal) and nothing else: markup, emoji and
highlighting are off, so that a tensor called ``[red]`` prints as it is spelt.
"""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder text, break lines or have no encoding."""


def data_console() -> Console:
    """Return the console of results, on stdout."""
    return _console(stderr=False)


def status_console() -> Console:
    """Return the console of messages and progress, on stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream: Any = sys.stderr if stderr else sys.stdout
    if hasattr(stream, "reconfigure"):
        # A terminal that knows only ASCII shows escapes where it cannot show a character: never a traceback.
        stream.reconfigure(errors="backslashreplace")
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)


def safe(text: str) -> str:
    """Return ``text`` with every character that a terminal would act on written as an escape."""
    if text.isprintable():  # the common case, decided in C
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if unicodedata.category(character) in _HIDDEN:
        return character.encode("unicode_escape", "surrogatepass").decode()
    return character
