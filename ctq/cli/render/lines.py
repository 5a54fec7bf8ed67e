"""Lines of styled text that wrap under a label and never pad: what is piped has no trailing spaces."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text


def line(*pieces: tuple[str, str]) -> Text:
    """Return one line from pieces of (style, text)."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="ignore")
    for style, piece in pieces:
        text.append(piece, style=style or None)
    return text


def paragraph(words: str, width: int, *, indent: int = 0, style: str = "") -> Text:
    """Return ``words`` wrapped to ``width`` columns, every line ``indent`` columns in."""
    space = " " * indent
    return line((style, "\n".join(_wrap(words, width, space, space))))


def labelled(label: tuple[str, int], lead: tuple[str, str], rest: str, width: int) -> Text:
    """Return a label in a column of its own, a styled first word, and the rest wrapped beside the label.

    ``label`` is the text and the width of its column.
    """
    name, column = label
    space = " " * column
    body = "\n".join(_wrap(lead[1] + rest, width, name.ljust(column), space))[len(name.ljust(column)) :]
    return line(("", name.ljust(column)), (lead[0], body[: len(lead[1])]), ("", body[len(lead[1]) :]))


def _wrap(words: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        words, width, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )
