"""Targets and ignores with compressed-tensors' own meaning, without importing it.

A pattern is a module's full name, ``re:`` and a regular expression that is anchored at the start only, or the name of a class
among the module's bases. No substrings, no suffixes: those are meanings that other tools give it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from ctq.errors import UsageError
from ctq.recipe.bounded_regex import BoundedPattern, UnboundedPatternError

if TYPE_CHECKING:
    from collections.abc import Iterable

REGEX_PREFIX = "re:"


def matches_name(name: str, pattern: str) -> bool:
    """Return whether ``pattern`` names the module ``name``.

    The time is bounded, whatever the pattern and the name. Source: compressed_tensors 0.17 utils/match.py ``match_name``.

    Raises:
        UsageError: the regular expression is invalid, or cannot be matched in bounded time.

    """
    if not pattern.startswith(REGEX_PREFIX):
        return pattern == name
    try:
        return compile_pattern(pattern).match(name)
    except UnboundedPatternError as error:
        raise UsageError(f"pattern '{pattern}' cannot be matched in bounded time: {error}") from error


def matches_class(class_names: Iterable[str], pattern: str) -> bool:
    """Return whether ``pattern`` is one of a module's class names (its class and the bases of that).

    ``Linear`` also names vLLM's ``LinearBase``. Source: compressed_tensors 0.17 utils/match.py ``_match_class``.
    """
    return any(name == pattern or (name == "LinearBase" and pattern == "Linear") for name in class_names)


def is_match(name: str, class_names: Iterable[str], targets: Iterable[str], ignore: Iterable[str] = ()) -> bool:
    """Return whether a module is reached by a target and by no ignore, each by name or by class.

    Raises:
        UsageError: as `matches_name`.

    """
    classes = tuple(class_names)
    return _matches_any(name, classes, targets) and not _matches_any(name, classes, ignore)


def first_match(name: str, class_names: Iterable[str], targets: Iterable[str]) -> str | None:
    """Return the target whose scheme compressed-tensors gives to a module, or None.

    Full names win over regular expressions, those over classes; alike ones go by the alphabet, not by their place in the
    config. Source: compressed_tensors 0.17 utils/match.py ``match_targets``, of which it takes the first.

    Raises:
        UsageError: as `matches_name`.

    """
    ordered = sorted(targets, key=lambda target: (REGEX_PREFIX in target, target))
    named = next((target for target in ordered if matches_name(name, target)), None)
    if named is not None:
        return named
    classes = tuple(class_names)
    return next((target for target in ordered if matches_class(classes, target)), None)


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> BoundedPattern:
    """Compile a ``re:`` pattern once.

    Raises:
        UsageError: the regular expression is invalid.

    """
    try:
        return BoundedPattern(pattern.removeprefix(REGEX_PREFIX))
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"pattern '{pattern}' is not a valid regular expression: {error}",
            hint="after 're:' comes a Python regular expression, e.g. re:.*lm_head$",
        ) from error


def _matches_any(name: str, classes: tuple[str, ...], patterns: Iterable[str]) -> bool:
    return any(matches_name(name, pattern) or matches_class(classes, pattern) for pattern in patterns)
