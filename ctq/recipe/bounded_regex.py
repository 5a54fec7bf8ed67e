"""Python's regular expressions in bounded time: patterns come from other people's files, and `(a+)+$` would hang for years.

A pattern whose backtracking is cheap by its form goes to `re` itself, which is nearly all that people write. The others run
as an automaton over the same parse tree, which takes steps proportional to the name's length and gives the same answer.
"""

from __future__ import annotations

import re
import warnings
from re import _parser  # type: ignore[attr-defined]  # the tree is what `re` itself compiles from
from typing import TYPE_CHECKING, Any

from ctq.recipe.regex_automaton import Automaton, UnboundedPatternError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BoundedPattern", "UnboundedPatternError"]

_BUDGET = 4_000_000
"""Backtracking steps that are allowed: 128 cubed and some, tens of milliseconds at the very worst."""
_LENGTHS = (65_536, 1024, 128)
_HOPELESS = float(_BUDGET + 1)
_REPEATS = frozenset({"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"})
_MOST_TURNS = 8
"""Turns of a repeat whose body is itself ambiguous; beyond, it is not even estimated."""


class BoundedPattern:
    """A compiled regular expression that is matched at the start of a name, as `re.match` does.

    Raises:
        re.error: the pattern is invalid.

    """

    def __init__(self, source: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "possible nested set": legal, and what the engines accept in silence
            self._regex = re.compile(source)
            self._tree = _parser.parse(source)
        self._plain_length = next((length for length in _LENGTHS if _within_budget(self._tree, length)), -1)
        self._automaton: Automaton | None = None

    def match(self, name: str) -> bool:
        """Return whether the pattern matches at the start of ``name``.

        Raises:
            UnboundedPatternError: no bounded way is known for this pattern and a name of this length.

        """
        if len(name) <= self._plain_length:
            return self._regex.match(name) is not None
        if self._automaton is None:
            self._automaton = Automaton(self._tree)
        return self._automaton.match(name)


def _within_budget(tree: Sequence[tuple[Any, Any]], length: int) -> bool:
    nodes = list(tree)
    if nodes and str(nodes[-1][0]) in _REPEATS and _paths(nodes[-1][1][2], length) <= 1:
        nodes.pop()  # nothing follows that could fail and make it give back
    return _paths(nodes, length) <= _BUDGET


def _paths(nodes: Sequence[tuple[Any, Any]], length: int) -> float:
    """Return an upper bound of the ways in which ``nodes`` can match, in a name of at most ``length`` characters."""
    total = 1.0
    for op, value in nodes:
        total = min(total * _node_paths(str(op), value, length), _HOPELESS)
    return total


def _node_paths(op: str, value: Any, length: int) -> float:  # noqa: ANN401  # a node's value has the shape that its op gives it
    if op in _REPEATS:
        least, most, body = value
        inner = _paths(body, length)
        turns = min(int(most), length) - min(int(least), length) + 1
        hopeless = inner > 1 and int(most) > _MOST_TURNS
        return _HOPELESS if hopeless else turns * inner ** min(int(most), _MOST_TURNS)
    if op == "BRANCH":
        return sum(_paths(branch, length) for branch in value[1])
    if op == "SUBPATTERN":
        return _paths(value[3], length)
    if op in ("ASSERT", "ASSERT_NOT"):
        return _paths(value[1], length)
    if op == "ATOMIC_GROUP":
        return _paths(value, length)
    if op == "GROUPREF_EXISTS":
        return sum(_paths(branch, length) for branch in value[1:] if branch)
    return 1.0
