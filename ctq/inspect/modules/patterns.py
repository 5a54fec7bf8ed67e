"""The patterns of a quantization config applied to sets of modules: the meaning is that of ``ctq.recipe.match``, the speed is not.

Most patterns cannot tell layer 3 from layer 17: those are tried once for a set of alike modules. Full names are looked up, and only
what is left is tried on each name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ctq.errors import UsageError
from ctq.recipe.match import REGEX_PREFIX, compile_pattern, matches_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_BLIND_TO_NUMBERS = re.compile(
    r"""(?:[A-Za-z_]            # a letter
       | \\\.                   # a dot
       | \.\*\??                # anything
       | \.\+\??(?=\\\.|[A-Za-z_$]|\Z)
       | (?<=[A-Za-z_])\.(?=[A-Za-z_])   # one character between two letters: never a whole number
       | [|^$] | \((?:\?:)? | \)\?? )*\Z""",
    re.VERBOSE,
)
"""Regular expressions for which every number between two dots is as good as any other."""


class Match(NamedTuple):
    """What the config says about a module: the target that reaches it, and the ``ignore`` entry that excludes it."""

    target: str | None
    ignored_by: str | None

    @property
    def declared(self) -> bool:
        """Whether the config declares the module quantized."""
        return self.target is not None and self.ignored_by is None


class PatternList:
    """A list of targets or of ``ignore`` entries.

    ``invalid`` holds the regular expressions that do not compile or cannot be matched in bounded time, with the reason; they match
    nothing. ``used`` collects the patterns that matched something.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(dict.fromkeys(patterns))
        self.invalid: dict[str, str] = {}
        self.used: set[str] = set()
        self._plain = frozenset(pattern for pattern in self.patterns if not pattern.startswith(REGEX_PREFIX))
        # compressed-tensors sorts the targets: among regular expressions the first by the alphabet wins.
        regexes = sorted(
            pattern for pattern in self.patterns if pattern.startswith(REGEX_PREFIX) and self._compiles(pattern)
        )
        self._blind = [pattern for pattern in regexes if _BLIND_TO_NUMBERS.match(pattern, len(REGEX_PREFIX))]
        self._seeing = [pattern for pattern in regexes if pattern not in self._blind]

    def first(self, names: Sequence[str], class_names: Sequence[str]) -> list[str | None]:
        """Return for each of ``names``, alike but for their numbers, the pattern that decides about it, or None."""
        blind = next((pattern for pattern in self._blind if self._matches(names[0], pattern)), None)
        by_class = min(self._plain.intersection(class_names), default=None)
        if not self._seeing and self._plain.isdisjoint(names):
            found = [blind or by_class] * len(names)
        else:
            found = [name if name in self._plain else self._regex(name, blind) or by_class for name in names]
        self.used.update(pattern for pattern in set(found) if pattern is not None)
        self._mark(names, class_names)
        return found

    def _regex(self, name: str, blind: str | None) -> str | None:
        seeing = next((pattern for pattern in self._seeing if self._matches(name, pattern)), None)
        return min((pattern for pattern in (blind, seeing) if pattern is not None), default=None)

    def _mark(self, names: Sequence[str], class_names: Sequence[str]) -> None:
        """Note every pattern that matches, not only the one that decides."""
        self.used |= self._plain.intersection(class_names)
        self.used.update(
            pattern for pattern in self._blind if pattern not in self.used and self._matches(names[0], pattern)
        )
        for pattern in self._seeing:
            if pattern not in self.used and any(self._matches(name, pattern) for name in names):
                self.used.add(pattern)

    def _compiles(self, pattern: str) -> bool:
        try:
            compile_pattern(pattern)
        except UsageError as error:
            self.invalid[pattern] = error.message
            return False
        return True

    def _matches(self, name: str, pattern: str) -> bool:
        if pattern in self.invalid:
            return False
        try:
            return matches_name(name, pattern)
        except UsageError as error:
            self.invalid[pattern] = error.message
            return False
