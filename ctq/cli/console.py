"""Where text goes: results on stdout, everything else on stderr, and no name from a checkpoint trusted with the terminal.

Views are lines of styled pieces. A terminal gets them through rich, with colour unless NO_COLOR says otherwise; everything else
gets the bare text, and rich is not even imported. Markup, emoji and highlighting are off: ``[red]`` prints as it is spelt.
"""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

Line = tuple[tuple[str, str], ...]
"""One line (or several, with line breaks) as pieces of (style, text); the styles are rich's."""

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that move the cursor, reorder text, break lines or have no encoding."""
_NARROWEST = 50


def width() -> int:
    """Return the columns to write for: COLUMNS, the terminal's, else 80; never fewer than words need."""
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def show(lines: Iterable[Line]) -> None:
    """Write a view to stdout."""
    stream = _lenient(sys.stdout)
    if not _colourful(stream):
        stream.writelines("".join(text for _, text in line) + "\n" for line in lines)
        return
    from rich.text import Text

    console = _console()
    for line in lines:
        console.print(Text.assemble(*((text, style) for style, text in line)), soft_wrap=True)


def _console() -> Console:
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, soft_wrap=False)


def _lenient(stream: TextIO) -> TextIO:
    """Let a terminal that knows only ASCII show escapes where it cannot show a character: never a traceback."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream


def _colourful(stream: TextIO) -> bool:
    """Whether anyone could see colours; the conventions are those of no-color.org and force-color.org."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def safe(text: str) -> str:
    """Return ``text`` with every character that a terminal would act on written as an escape."""
    if text.isprintable():  # the common case, decided in C
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if unicodedata.category(character) in _HIDDEN:
        return character.encode("unicode_escape", "surrogatepass").decode()
    return character
