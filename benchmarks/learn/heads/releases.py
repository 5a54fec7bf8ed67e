"""Rows of heads in several releases, and as they are stored: each with the first and the last release in which it is the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from benchmarks.learn.heads.rows import HeadRow
from ctq.engines.versions import version_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Rows: TypeAlias = dict[str, HeadRow]
"""The rows of one release, by architecture."""
INSTALLED: Final = re.compile(r"vllm(?:_cpu)?-(\d+(?:\.\d+)+).*\.dist-info")
Spans: TypeAlias = dict[str, list[list[Any]]]
"""Rows by architecture, each after the releases from which and up to which it holds."""


def installed(python: Path) -> tuple[str, Path]:
    """Return the version of an interpreter's vLLM, and the folder of its package."""
    [root] = python.parents[1].glob("lib/python3*/site-packages/vllm")
    [version] = (found[1] for path in root.parent.iterdir() if (found := INSTALLED.fullmatch(path.name)))
    return version, root


def rows_at(architectures: Spans, version: str) -> Rows:
    """Return the rows that hold in one release."""
    key = version_key(version)
    return {
        name: HeadRow(*row)
        for name, rows in architectures.items()
        for first, last, *row in rows
        if version_key(first) <= key <= version_key(last)
    }


def in_order(releases: Mapping[str, Rows]) -> list[str]:
    """Return the releases, oldest first."""
    return sorted(releases, key=version_key)


def spans(releases: Mapping[str, Rows]) -> Spans:
    """Return the rows of several releases as they are stored."""
    names = sorted({name for rows in releases.values() for name in rows})
    return {name: list(_spans_of(name, releases)) for name in names}


def _spans_of(name: str, releases: Mapping[str, Rows]) -> Iterator[list[Any]]:
    span: list[Any] | None = None
    for version in in_order(releases):
        row = releases[version].get(name)
        if span is not None and row is not None and span[2:] == [*row]:
            span[1] = version
            continue
        if span is not None:
            yield span
        span = None if row is None else [version, version, *row]
    if span is not None:
        yield span
