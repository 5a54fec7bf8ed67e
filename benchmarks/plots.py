"""Plots of raw results as SVG text: bars for contestants, lines for growth. Pure functions; colours suit light and dark pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Record = Mapping[str, Any]

WIDTH: Final = 720
LABELS: Final = 230
ROW: Final = 26
GREY: Final = "#8a8f98"
COLOURS: Final = ("#2f7ed8", "#e07b39")
FONT: Final = 'font-family="system-ui, sans-serif" font-size="13"'


def bars(record: Record) -> str:
    """Return horizontal bars of the medians, with the range of the runs, own contestants in colour."""
    rows = record["summary"]
    longest = max(row["max_s"] for row in rows)
    room = WIDTH - LABELS - 150
    marks: list[str] = []
    for index, row in enumerate(rows):
        top = 34 + index * ROW
        marks += _bar(row, top, room / longest, own=index > 0 and _is_own(row["name"]))
    return _svg(34 + len(rows) * ROW + 8, [_title(record["title"]), *marks])


def _is_own(name: str) -> bool:
    return name.startswith(("ctq", "W8A"))


def _bar(row: Mapping[str, Any], top: int, scale: float, *, own: bool) -> Iterable[str]:
    middle, width = top + 10, row["median_s"] * scale
    yield _text(LABELS - 8, middle + 4, row["name"], "end")
    yield f'<rect x="{LABELS}" y="{top}" width="{width:.1f}" height="18" rx="2" fill="{COLOURS[0] if own else GREY}"/>'
    low, high = LABELS + row["min_s"] * scale, LABELS + row["max_s"] * scale
    yield f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8" stroke="{COLOURS[1]}"/>'
    label = f"{row['median_s']:.2f} s, {row['peak_mb']} MB"
    yield _text(max(high, LABELS + width) + 8, middle + 4, label, "start")


def lines(title: str, records: Sequence[Record]) -> str:
    """Return the medians of each contestant over the size of the source."""
    ordered = sorted(records, key=lambda record: record["source_bytes"])
    gigabytes = [record["source_bytes"] / 1e9 for record in ordered]
    names = [row["name"] for row in ordered[0]["summary"]]
    seconds = {name: [_median(record, name) for record in ordered] for name in names}
    right, top = max(gigabytes), max(max(values) for values in seconds.values())
    marks = [_title(title), f'<path d="M60 40V250H{WIDTH - 190}" fill="none" stroke="{GREY}"/>']
    marks += [_text(_across(size, right), 268, f"{size:.0f} GB", "middle") for size in gigabytes]
    marks += [_text(52, _up(top * part, top) + 4, f"{top * part:.1f} s", "end") for part in (0.5, 1.0)]
    for name, colour in zip(names, (GREY, *COLOURS), strict=False):
        points = [(_across(size, right), _up(value, top)) for size, value in zip(gigabytes, seconds[name], strict=True)]
        path = " ".join(f"{across:.1f},{up:.1f}" for across, up in points)
        marks.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        marks += [f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3.5" fill="{colour}"/>' for across, up in points]
    return _svg(
        280, [*marks, *_ends({name: values[-1] for name, values in seconds.items()}, _across(right, right), top)]
    )


def _ends(seconds: Mapping[str, float], across: float, top: float) -> Iterable[str]:
    """Yield what each line ends at, from above, without one covering another."""
    free = 0.0
    for name, value in sorted(seconds.items(), key=lambda item: -item[1]):
        free = max(free + 16, _up(value, top))
        yield _text(across + 10, free + 4, f"{name}: {value:.1f} s", "start")


def _median(record: Record, name: str) -> float:
    return float(next(row["median_s"] for row in record["summary"] if row["name"] == name))


def _across(gigabytes: float, right: float) -> float:
    return 60 + gigabytes / right * (WIDTH - 260)


def _up(seconds: float, top: float) -> float:
    return 250 - seconds / top * 200


def _title(text: str) -> str:
    return f'<text x="8" y="20" font-weight="bold" fill="{GREY}" {FONT}>{escape(text)}</text>'


def _text(across: float, down: float, text: str, anchor: str) -> str:
    return f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}" fill="{GREY}" {FONT}>{escape(text)}</text>'


def _svg(height: int, marks: Iterable[str]) -> str:
    body = "\n".join(marks)
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" role="img">\n{body}\n</svg>\n'
