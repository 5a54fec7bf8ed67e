"""Version numbers of engines, compared as numbers, and the nearest known one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_RELEASE = re.compile(r"v?(\d{1,9}(?:\.\d{1,9})*)(?:[-.+_]?(?:post|dev|rc|a|b|cu|cpu|g|local).*|\+.*)?$", re.IGNORECASE)
_PARTS = 3


def version_key(version: str) -> tuple[int, ...]:
    """Return the release part of ``version`` as numbers, padded to three.

    Suffixes (``.post1``, ``rc2``, ``+cpu``) do not count: a candidate or rebuild is judged as its release.

    Raises:
        UsageError: not a version number.

    """
    match = _RELEASE.match(version.strip())
    if match is None:
        raise UsageError(f"'{version}' is not a version number", hint="write it as 0.32.0")
    numbers = tuple(int(part) for part in match[1].split("."))
    return numbers + (0,) * (_PARTS - len(numbers))


def at_or_below(version: str, known: Sequence[str]) -> str | None:
    """Return the newest of ``known`` (ascending) that is not newer than ``version``, or None.

    Raises:
        UsageError: ``version`` is not a version number.

    """
    key = version_key(version)
    return next((candidate for candidate in reversed(known) if version_key(candidate) <= key), None)
