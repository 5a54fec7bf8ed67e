"""Regular expressions as an automaton that follows all ways at once, so that no pattern makes it backtrack.

It takes what can be so matched: characters, sets, repeats, branches, groups and anchors. References to groups, lookarounds and
atomic groups are refused.
"""

from __future__ import annotations

from re import _compiler, _parser  # type: ignore[attr-defined]  # leaves are compiled by `re` itself, so that they mean the same
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MOST_STEPS = 2_000
"""Steps of one pattern; a config may hold thousands of patterns."""
_MOST_REMEMBERED = 20_000


class UnboundedPatternError(Exception):
    """A pattern for which no bounded way of matching is known."""


class _Step(NamedTuple):
    """One step: a character to take or a place to be at (``test``), then ``next``; without a test a fork to every ``next``."""

    next: tuple[int, ...]
    test: Callable[[str, int], Any] | None = None
    takes: bool = False


class Automaton:
    """The parse tree of a regular expression, ready to run.

    Raises:
        UnboundedPatternError: the pattern holds what an automaton cannot do, or repeats too much.

    """

    def __init__(self, tree: Any) -> None:  # noqa: ANN401  # a tree of the private parser has no type
        self._tree = tree  # kept, since its nodes are known by their identity
        self._steps: list[_Step] = [_Step(())]  # step 0 is the end
        self._tests: dict[tuple[int, tuple[tuple[int, int], ...]], Callable[[str, int], Any]] = {}
        self._memory: dict[tuple[frozenset[int], str, str], frozenset[int] | None] = {}
        self._start = frozenset({self._sequence(tree, 0, ())})

    def match(self, name: str) -> bool:
        """Return whether the pattern matches at the start of ``name``."""
        current = self._start
        for place in range(len(name) + 1):
            # What holds at a place depends on the character before it and the two after it ($ is also before a last newline).
            key = (current, name[max(place - 1, 0) : place], name[place : place + 2])
            if key not in self._memory:
                if len(self._memory) >= _MOST_REMEMBERED:
                    self._memory.clear()
                self._memory[key] = self._advance(current, name, place)
            reached = self._memory[key]
            if not reached:
                return reached is None
            current = reached
        return False

    def _advance(self, current: frozenset[int], name: str, place: int) -> frozenset[int] | None:
        """Return the steps to try at the next place, or None when the end is reached."""
        pending, seen = list(current), set(current)
        following: set[int] = set()
        while pending:
            index = pending.pop()
            if index == 0:
                return None
            step = self._steps[index]
            if step.test is not None and not step.test(name, place):
                continue
            if step.takes:
                following.update(step.next)
                continue
            fresh = [target for target in step.next if target not in seen]
            seen.update(fresh)
            pending.extend(fresh)
        return frozenset(following)

    def _add(self, step: _Step) -> int:
        if len(self._steps) >= _MOST_STEPS:
            raise UnboundedPatternError("its repeats multiply to too many steps")
        self._steps.append(step)
        return len(self._steps) - 1

    def _sequence(self, nodes: Sequence[tuple[Any, Any]], then: int, flags: tuple[tuple[int, int], ...]) -> int:
        for node in reversed(list(nodes)):
            then = self._node(node, then, flags)
        return then

    def _node(self, node: tuple[Any, Any], then: int, flags: tuple[tuple[int, int], ...]) -> int:
        op, value = node
        name = str(op)
        if name in ("LITERAL", "NOT_LITERAL", "ANY", "IN", "AT"):
            key = (id(node), flags)  # the turns of a repeat share their body, and so its tests
            if key not in self._tests:
                self._tests[key] = self._test(node, flags)
            return self._add(_Step((then,), self._tests[key], takes=name != "AT"))
        if name == "SUBPATTERN":
            _, added, removed, body = value
            return self._sequence(body, then, (*flags, (added, removed)))
        if name == "BRANCH":
            return self._add(_Step(tuple(self._sequence(branch, then, flags) for branch in value[1])))
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            return self._repeat(value, then, flags)
        raise UnboundedPatternError(f"{name.lower()} beside nested or many repeats")

    def _repeat(self, value: tuple[Any, Any, Any], then: int, flags: tuple[tuple[int, int], ...]) -> int:
        least, most, body = value
        if most == _parser.MAXREPEAT:
            loop = self._add(_Step(()))
            self._steps[loop] = _Step((self._sequence(body, loop, flags), then))
            then = loop
        else:
            end = then
            for _ in range(int(most) - int(least)):
                then = self._add(_Step((self._sequence(body, then, flags), end)))
        for _ in range(int(least)):
            then = self._sequence(body, then, flags)
        return then

    def _test(self, node: tuple[Any, Any], flags: tuple[tuple[int, int], ...]) -> Callable[[str, int], Any]:
        pattern = _parser.SubPattern(self._tree.state, [node])
        for added, removed in reversed(flags):
            pattern = _parser.SubPattern(self._tree.state, [(_parser.SUBPATTERN, (None, added, removed, pattern))])
        test: Callable[[str, int], Any] = _compiler.compile(pattern, 0).match
        return test
