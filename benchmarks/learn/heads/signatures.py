"""What the parameters of a function stand for in a call of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from benchmarks.learn.heads.expressions import Frame
from benchmarks.learn.heads.values import Function, Module, Unknown, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def bound(
    function: Function, places: list[Value], named: Mapping[str, Value], default: Callable[[ast.expr], Value]
) -> Frame:
    """Return the names of a function that is called with values by place and by name."""
    node, owner = function.node, function.owner
    if owner is None and function.cls and places and isinstance(places[0], Module):
        owner, places = places[0], places[1:]  # as `Base.__init__(self, ...)` calls it
    if function.cls and isinstance(node, ast.FunctionDef):
        places = [*_receiver(node, function, owner), *places]
    signature = node.args
    positional = [one.arg for one in (*signature.posonlyargs, *signature.args)]
    known = {*positional, *(one.arg for one in signature.kwonlyargs)}
    names = dict(function.around)
    names.update((name, default(node) if node else Unknown(name)) for name, node in _defaults(signature))
    names.update(zip(positional, places, strict=False))
    names.update((name, value) for name, value in named.items() if name in known)
    if signature.vararg:
        names[signature.vararg.arg] = places[len(positional) :]
    if signature.kwarg:
        names[signature.kwarg.arg] = {name: value for name, value in named.items() if name not in known}
    return Frame(function.module, names, owner, function.cls)


def _receiver(node: ast.FunctionDef, function: Function, owner: Module | None) -> list[Value]:
    """Return what a method is called on."""
    decorators = {ast.unparse(one) for one in node.decorator_list}
    if "staticmethod" in decorators:
        return []
    is_of_class = "classmethod" in decorators or node.name == "__new__"
    return [(owner.cls if owner else function.cls) if is_of_class else owner]


def _defaults(signature: ast.arguments) -> Iterator[tuple[str, ast.expr | None]]:
    places = [*signature.posonlyargs, *signature.args]
    without = [None] * (len(places) - len(signature.defaults))
    for one, default in zip(places, [*without, *signature.defaults], strict=True):
        yield one.arg, default
    for one, default in zip(signature.kwonlyargs, signature.kw_defaults, strict=True):
        yield one.arg, default
