"""Lines of styled text that wrap under a label and never pad: what is piped has no trailing spaces."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from ctq.cli.console import safe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ctq.cli.console import Line

BLANK: Line = ()
_ENTRY = 10
"""Columns of a summary's labels."""
UNBROKEN = 1 << 20
"""A width that nothing reaches."""
_GAP = 2
"""Columns between the columns of a table."""
Row = tuple[str, tuple[str, str], str]
"""A name, the style and words of how it is stored, and a size."""


def line(*pieces: tuple[str, str]) -> Line:
    """Return one line from pieces of (style, text)."""
    return pieces


def paragraph(words: str, width: int, *, indent: int = 0, style: str = "") -> Line:
    """Return ``words`` wrapped to ``width`` columns, every line ``indent`` columns in."""
    space = " " * indent
    return line((style, "\n".join(_wrap(words, width, space, space))))


def labelled(label: tuple[str, int], lead: tuple[str, str], rest: str, width: int) -> Line:
    """Return a label in a column of its own, a styled first word, and the rest wrapped beside the label.

    ``label`` is the text and the width of its column.
    """
    name, column = label[0].ljust(label[1]), label[1]
    body = "\n".join(_wrap(lead[1] + rest, width, name, " " * column))[len(name) :]
    return line(("", name), (lead[0], body[: len(lead[1])]), ("", body[len(lead[1]) :]))


def entry(label: str, words: str, width: int) -> Line:
    """Return an entry of a summary: a label, and whatever words of a checkpoint wrapped beside it."""
    return labelled((label, _ENTRY), ("", ""), safe(words), width)


def _wrap(words: str, width: int, first: str, others: str) -> list[str]:
    return textwrap.wrap(words, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def table(header: Row, rows: Sequence[Row], width: int) -> Iterator[Line]:
    """Yield a table of names, words and right-aligned sizes; a name that is too long goes on in the next line."""
    words = max(len(row[1][1]) for row in (header, *rows))
    sizes = max(len(row[2]) for row in (header, *rows))
    names = max(8, min(max(len(row[0]) for row in (header, *rows)), width - words - sizes - 2 * _GAP))
    for number, (name, (style, word), size) in enumerate((header, *rows)):
        bold = "bold" if number == 0 else ""
        pieces = list(_pieces(name, names)) or [""]
        gap = " " * _GAP
        yield line(
            (bold, pieces[0].ljust(names) + gap), (style or bold, word.ljust(words)), (bold, gap + size.rjust(sizes))
        )
        yield from (line(("", f"  {piece}")) for piece in pieces[1:])


def _pieces(name: str, room: int) -> Iterator[str]:
    """Yield a name in pieces of ``room`` characters at most, cut at dots and spaces where they leave no half-empty line."""
    while len(name) > room:
        cut = max(name.rfind(".", 0, room + 1), name.rfind(" ", 0, room + 1))
        cut = cut if cut > room // 2 else room
        yield name[:cut].rstrip()
        name = name[cut:].lstrip()
    if name:
        yield name
