"""The sources of a package, read without importing it: what a name stands for in a module, and what a class inherits.

Where a module chooses by the platform, that of CUDA is meant. What it imports for types alone is what it hands out later, unless it
says otherwise.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Function: TypeAlias = ast.FunctionDef | ast.Lambda
PLATFORM: Final = {"is_cuda": True, "is_cuda_alike": True}
"""What `current_platform` answers to its questions after the platform's kind; to others of them, no."""
KIND: Final = "cuda"
ASKED: Final = re.compile(r"_?is_(cuda|hip|npu|cpu|xpu|hpu|musa|mps)(\(\))?")
"""How a platform is asked for by itself."""
TYPES_ONLY: Final = "TYPE_CHECKING"


@dataclass(frozen=True)
class Defined:
    """A class, a function or a value, by the module that defines it."""

    module: str
    node: ast.ClassDef | ast.FunctionDef | ast.expr

    @property
    def name(self) -> str:
        """The name of a class or function."""
        return getattr(self.node, "name", "")


class SourceTree:
    """The modules of a package, each parsed once; ``root`` is its folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._scopes: dict[str, dict[str, Defined | tuple[str, str]]] = {}
        self._lines: dict[Defined, tuple[Defined, ...]] = {}

    def meaning(self, module: str, name: str) -> Defined | None:
        """Return what a name stands for in a module, in whichever module of the package that is defined."""
        seen = set()
        while (module, name) not in seen:
            seen.add((module, name))
            found = self._scope(module).get(name)
            if not isinstance(found, tuple):
                return found
            module, name = found
        return None

    def imported(self, module: str, statement: ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str]]]:
        """Yield the names that an import in a module binds, with module and name of what each stands for."""
        target = statement.module or ""
        if statement.level:
            package = module.split(".") if self._is_package(module) else module.split(".")[:-1]
            above = package[: len(package) - statement.level + 1]
            target = ".".join([*above, *filter(None, [target])])
        for alias in statement.names:
            yield alias.asname or alias.name, (target, alias.name)

    def lineage(self, cls: Defined) -> tuple[Defined, ...]:
        """Return a class and those that it inherits from, in the order in which Python asks them for attributes."""
        if cls not in self._lines:
            self._lines[cls] = (cls,)  # of a class that inherits from itself
            bases = [base for node in _bases(cls) if (base := self.meaning(cls.module, node)) and _is_class(base)]
            self._lines[cls] = (cls, *_merged([*map(self.lineage, bases), tuple(bases)]))
        return self._lines[cls]

    def method(self, cls: Defined, name: str, after: Defined | None = None) -> tuple[Defined, ast.FunctionDef] | None:
        """Return the class that a method comes from, and the method; ``after``: as `super()` finds it from that class."""
        line = self.lineage(cls)
        for one in line[line.index(after) + 1 :] if after in line else line:
            for node in one.node.body if isinstance(one.node, ast.ClassDef) else ():
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    return one, node
        return None

    def _scope(self, module: str) -> dict[str, Defined | tuple[str, str]]:
        if module not in self._scopes:
            scope: dict[str, Defined | tuple[str, str]] = {}
            self._scopes[module] = scope
            for node in _top_level(self._parsed(module).body):
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    scope[node.name] = Defined(module, node)
                elif isinstance(node, ast.ImportFrom):
                    scope.update(self.imported(module, node))
                elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    scope[node.targets[0].id] = self._assigned(module, node.value)
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                    scope[node.target.id] = self._assigned(module, node.value)
        return self._scopes[module]

    def _assigned(self, module: str, value: ast.expr) -> Defined | tuple[str, str]:
        return (module, value.id) if isinstance(value, ast.Name) else Defined(module, value)

    def _parsed(self, module: str) -> ast.Module:
        file = self._file(module)
        return ast.parse(file.read_text()) if file.is_file() else ast.Module(body=[], type_ignores=[])

    def _is_package(self, module: str) -> bool:
        return self._file(module).name == "__init__.py"

    def _file(self, module: str) -> Path:
        place = self._root.parent.joinpath(*module.split("."))
        return place / "__init__.py" if place.is_dir() else place.with_name(f"{place.name}.py")


def platform_answer(call: ast.expr) -> bool | None:
    """Return what `current_platform` answers on CUDA to a question or a comparison; None where something else is asked."""
    text = ast.unparse(call)
    if text == f"current_platform.device_type == {KIND!r}":
        return True
    if text.startswith("current_platform.device_type == "):
        return False
    if by_itself := ASKED.fullmatch(text):
        return by_itself[1] == KIND
    asked, _, rest = text.removeprefix("current_platform.").partition("(")
    if not (text.startswith("current_platform.is_") and rest == ")"):
        return None
    return PLATFORM.get(asked, False)


def _holds(test: ast.expr) -> bool:
    """Tell whether a module goes into a branch."""
    if isinstance(test, ast.BoolOp):
        return (any if isinstance(test.op, ast.Or) else all)(map(_holds, test.values))
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return not _holds(test.operand)
    return platform_answer(test) or ast.unparse(test) == TYPES_ONLY


def _top_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module in the order in which they run, those of branches among them."""
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == TYPES_ONLY:
            yield from _top_level([*node.body, *node.orelse])
        elif isinstance(node, ast.If):
            yield from _top_level(node.body if _holds(node.test) else node.orelse)
        elif isinstance(node, ast.Try):
            yield from _top_level(node.body)
        else:
            yield node


def _bases(cls: Defined) -> Iterator[str]:
    for base in cls.node.bases if isinstance(cls.node, ast.ClassDef) else ():
        if isinstance(base, ast.Name):
            yield base.id


def _is_class(found: Defined) -> bool:
    return isinstance(found.node, ast.ClassDef)


def _merged(lines: Sequence[tuple[Defined, ...]]) -> Iterator[Defined]:
    """Yield the classes of several lines, none before one that inherits from it."""
    left = [list(line) for line in lines if line]
    while left:
        tails = {one for line in left for one in line[1:]}
        chosen = next((line[0] for line in left if line[0] not in tails), left[0][0])
        yield chosen
        left = [rest for line in left if (rest := [one for one in line if one != chosen])]
