"""Which classes and functions of vLLM's models can lead to a head: those that name its class, or one of the others."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from benchmarks.learn.heads.source_tree import SourceTree

HEAD: Final = "ParallelLMHead"
REGISTERED: Final = "init_vllm_registered_model"
"""The function that builds a text model inside a wrapper, as vLLM registers it."""


class Leads:
    """Knows what names what in the modules of models; ``rooms`` are their packages."""

    def __init__(self, tree: SourceTree, rooms: tuple[str, ...]) -> None:
        self._tree, self._rooms = tree, rooms
        self._named: dict[tuple[str, ast.AST], set[tuple[str, ast.AST]] | None] = {}
        self._known: dict[tuple[str, ast.AST], bool] = {}

    def to_head(self, module: str, node: ast.AST) -> bool:
        """Tell whether a class or function of a module can lead to a head."""
        start = module, node
        if start not in self._known:
            waiting, seen = [start], {start}
            while waiting and start not in self._known:
                named = self._names(*waiting.pop())
                if named is None or any(self._known.get(one) for one in named):
                    self._known[start] = True
                else:
                    waiting += named - seen
                    seen |= named
            if start not in self._known:
                self._known.update(dict.fromkeys(seen, False))
        return self._known[start]

    def _names(self, module: str, node: ast.AST) -> set[tuple[str, ast.AST]] | None:
        """Return the classes, functions and values that one names; None where it names a head."""
        if (module, node) not in self._named:
            places = set()
            for one in ast.walk(node):
                if isinstance(one, ast.Name):
                    places.add((module, one.id))
                elif isinstance(one, ast.ImportFrom):
                    places.update(place for _, place in self._tree.imported(module, one))
            if {HEAD, REGISTERED} & {name for _, name in places}:
                self._named[module, node] = None
            else:
                found = filter(None, (self._tree.meaning(*place) for place in places))
                self._named[module, node] = {
                    (one.module, one.node) for one in found if one.module.startswith(self._rooms)
                }
        return self._named[module, node]
