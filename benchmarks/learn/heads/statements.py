"""What the statements of a function do to what is known, branch by branch, and which heads they tie on the way."""

from __future__ import annotations

import ast
import re
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks.learn.heads.expressions import Expressions, Frame
from benchmarks.learn.heads.leads import HEAD
from benchmarks.learn.heads.values import Function, Head, Module, Settings, Unknown, Value, either, options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.learn.heads.source_tree import SourceTree

TIED: Final = re.compile(r"(\b|_)tie|tying")
"""What a condition says that asks whether the head is tied."""
LEAVES_OUT: Final = "no_init_weights"
"""The context that puts placeholders where modules of the classes that it names are built."""


class Statements:
    """Follows statements; what a call does is left to who follows it (``call``). ``heads`` are those that are built so far."""

    def __init__(self, tree: SourceTree, call: Callable[[ast.Call, Frame], Value]) -> None:
        self.tree = tree
        self.expressions = Expressions(tree, call)
        self.heads: list[Head] = []
        self._conditions: list[str] = []

    def run(self, body: Sequence[ast.stmt], frame: Frame) -> bool:
        """Follow statements; return whether they end the function."""
        return any(self._ends(node, frame) for node in body)

    def tie(self, heads: Sequence[Head], way: str, frame: Frame, *, is_asked: bool = False) -> None:
        """Keep that heads are tied, and whether that is so whatever the config says."""
        is_asked = is_asked or any(TIED.search(condition) for condition in self._conditions)
        for head in heads:
            head.ties += [(one, frame.owner) for one in ([way] if is_asked else [way, "always_tied"])]

    def _ends(self, node: ast.stmt, frame: Frame) -> bool:
        match node:
            case ast.Return():
                frame.returned.append(self.expressions.value(node.value, frame))
                return True
            case ast.Raise():
                return True
            case ast.If():
                return self._branch(node, frame)
            case ast.With():
                return self._within(node, frame)
            case ast.Try():
                return self.run([*node.body, *node.orelse, *node.finalbody], frame)
        self._do(node, frame)
        return False

    def _do(self, node: ast.stmt, frame: Frame) -> None:
        match node:
            case ast.Assign():
                value = self.expressions.value(node.value, frame)
                for target in node.targets:
                    self._assign(target, value, frame)
            case ast.AnnAssign() if node.value:
                self._assign(node.target, self.expressions.value(node.value, frame), frame)
            case ast.AugAssign():
                target = ast.parse(ast.unparse(node.target), mode="eval").body
                self._assign(node.target, self.expressions.value(ast.BinOp(target, node.op, node.value), frame), frame)
            case ast.Expr():
                self.expressions.value(node.value, frame)
            case ast.For() | ast.While():
                self._loop(node, frame)
            case ast.ImportFrom():
                for name, place in self.tree.imported(frame.module, node):
                    frame.names[name] = self.expressions.meant(*place)
            case ast.FunctionDef():
                frame.names[node.name] = Function(frame.module, node, around=frame.names)

    def _loop(self, node: ast.For | ast.While, frame: Frame) -> None:
        """Follow one turn of a loop."""
        if isinstance(node, ast.For):
            held = self.expressions.value(node.iter, frame)
            self._assign(node.target, either(*held) if isinstance(held, list) and held else Unknown(), frame)
        self.run(node.body, frame)

    def _assign(self, target: ast.expr, value: Value, frame: Frame) -> None:
        match target:
            case ast.Name():
                frame.names[target.id] = value
            case ast.Tuple() | ast.List():
                is_alike = isinstance(value, list) and len(value) == len(target.elts)
                for place, one in zip(target.elts, value if is_alike else [Unknown()] * len(target.elts), strict=True):
                    self._assign(place, one, frame)
            case ast.Attribute():
                for held in options(self.expressions.value(target.value, frame)):
                    self._set(target, held, value, frame)

    def _set(self, target: ast.Attribute, held: Value, value: Value, frame: Frame) -> None:
        """Set an attribute of a module, share a head's weight, or change the settings that a name stands for."""
        if isinstance(held, Module):
            held.attributes[target.attr] = value
        elif isinstance(held, Head) and target.attr == "weight":
            self.tie([held], "weight_share", frame)
        elif isinstance(held, Settings) and target.attr == "quant_config" and isinstance(target.value, ast.Name):
            frame.names[target.value.id] = replace(held, quant=value)

    def _within(self, node: ast.With, frame: Frame) -> bool:
        """Follow what is done in a context; of one that puts placeholders in the places of heads, none are left."""
        built = len(self.heads)
        contexts = [ast.unparse(item.context_expr) for item in node.items]
        for item in node.items:
            self.expressions.value(item.context_expr, frame)
        ended = self.run(node.body, frame)
        if any(LEAVES_OUT in context and HEAD in context for context in contexts):
            for head in self.heads[built:]:
                head.is_left_out = True
        return ended

    def _branch(self, node: ast.If, frame: Frame) -> bool:
        holds = self.expressions.truth(node.test, frame)
        if holds is not None:
            return self.run(node.body if holds else node.orelse, frame)
        asked = self._asked(node.test, frame)
        with self._under(asked):
            before = _state(frame)
            ends = self.run(node.body, frame)
            there = _state(frame)
            _restore(frame, before)
            ends_otherwise = self.run(node.orelse, frame)
        if ends:
            return ends_otherwise
        if ends_otherwise:
            _restore(frame, there)
        else:
            self._join(frame, there, is_tie=TIED.search(asked) is not None)
        return False

    def _join(self, frame: Frame, there: Sequence[dict[str, Value]], *, is_tie: bool) -> None:
        """Take together what two branches made of names and attributes: a head in one of them may be an alias in the other."""
        for here, other in zip(_places(frame), there, strict=True):
            for name, value in other.items():
                both = [value, here.get(name)]
                heads = [one for either_one in both for one in options(either_one) if isinstance(one, Head)]
                if is_tie and heads and any(isinstance(one, Unknown) for one in both):
                    self.tie(heads, "module_alias", frame, is_asked=True)
                here[name] = either(value, here[name]) if name in here else value

    def _asked(self, test: ast.expr, frame: Frame) -> str:
        """Return a condition, with how its names are come by."""
        names = [one for one in ast.walk(test) if isinstance(one, ast.Name | ast.Attribute)]
        values = [self.expressions.value(one, frame) for one in names]
        return " ".join([ast.unparse(test), *(value.text for value in values if isinstance(value, Unknown))])

    @contextmanager
    def _under(self, condition: str) -> Iterator[None]:
        self._conditions.append(condition)
        yield
        self._conditions.pop()


def _places(frame: Frame) -> list[dict[str, Value]]:
    return [frame.names, frame.owner.attributes] if frame.owner else [frame.names]


def _state(frame: Frame) -> list[dict[str, Value]]:
    return [dict(place) for place in _places(frame)]


def _restore(frame: Frame, state: Sequence[dict[str, Value]]) -> None:
    for place, before in zip(_places(frame), state, strict=True):
        place.clear()
        place.update(before)
