"""What an expression of vLLM's sources is worth, with what is known of the names in it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from benchmarks.learn.heads.source_tree import Defined, platform_answer
from benchmarks.learn.heads.values import (
    Either,
    Function,
    Module,
    Quant,
    Settings,
    Unknown,
    Value,
    either,
    in_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.learn.heads.source_tree import SourceTree

RANK: Final = re.compile(r"is_(first|last)_rank$")
"""What is so on one device."""
FINDS_QUANT: Final = "SupportsQuant"
"""The base whose classes have the quantization config before they are made, as `self.quant_config`."""


@dataclass
class Frame:
    """A function that is being followed: its names, where it is defined, and on which module of a model, for which class."""

    module: str
    names: dict[str, Value] = field(default_factory=dict)
    owner: Module | None = None
    cls: Defined | None = None
    returned: list[Value] = field(default_factory=list)


class Expressions:
    """Works expressions out; what a call does is left to who follows it (``call``)."""

    def __init__(self, tree: SourceTree, call: Callable[[ast.Call, Frame], Value]) -> None:
        self.tree = tree
        self._kinds: dict[type[ast.expr], Callable[[Any, Frame], Value]] = {
            ast.Call: call,
            ast.Constant: lambda node, _: node.value,
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.List: self._several,
            ast.Tuple: self._several,
            ast.Set: self._several,
            ast.Dict: lambda node, frame: [self.value(entry, frame) for entry in node.values],
            ast.Subscript: self._subscript,
            ast.ListComp: self._counted,
            ast.SetComp: self._counted,
            ast.GeneratorExp: self._counted,
            ast.DictComp: self._counted,
            ast.JoinedStr: self._joined_text,
            ast.BinOp: self._sum,
            ast.IfExp: self._chosen,
            ast.BoolOp: self._first,
            ast.NamedExpr: self._named,
            ast.Lambda: lambda node, frame: Function(frame.module, node, frame.owner, frame.cls, frame.names),
            ast.Starred: lambda node, frame: self.value(node.value, frame),
        }

    def value(self, node: ast.expr | None, frame: Frame) -> Value:
        """Return what an expression is worth; calls in it are followed."""
        if node is None:
            return None
        if type(node) in self._kinds:
            return self._kinds[type(node)](node, frame)
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.expr):
                self.value(inner, frame)
        return Unknown(ast.unparse(node))

    def truth(self, node: ast.expr, frame: Frame) -> bool | None:
        """Return whether a condition holds on one CUDA device; None where that depends on more than the sources."""
        if isinstance(node, ast.BoolOp):
            return self._joined(node, frame)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.truth(node.operand, frame)
            return None if inner is None else not inner
        if (answer := platform_answer(node)) is not None:
            return answer
        if RANK.search(ast.unparse(node)):
            return True
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._compared(node, frame)
        return _as_truth(self.value(node, frame))

    def _joined(self, node: ast.BoolOp, frame: Frame) -> bool | None:
        decisive = isinstance(node.op, ast.Or)
        answers = [self.truth(one, frame) for one in node.values]
        if decisive in answers:
            return decisive
        return None if None in answers else not decisive

    def _compared(self, node: ast.Compare, frame: Frame) -> bool | None:
        one, other = self.value(node.left, frame), self.value(node.comparators[0], frame)
        if any(isinstance(side, Unknown | Either) for side in (one, other)):
            return None
        if isinstance(node.ops[0], ast.Is | ast.Eq):
            return bool(one == other)
        if isinstance(node.ops[0], ast.IsNot | ast.NotEq):
            return bool(one != other)
        return None

    def _name(self, node: ast.Name, frame: Frame) -> Value:
        return frame.names[node.id] if node.id in frame.names else self.meant(frame.module, node.id)

    def meant(self, module: str, name: str) -> Value:
        """Return what a name stands for in a module."""
        found = self.tree.meaning(module, name)
        if found is None:
            return Unknown(name)
        if isinstance(found.node, ast.ClassDef):
            return found
        if isinstance(found.node, ast.FunctionDef):
            return Function(found.module, found.node)
        return self.value(found.node, Frame(found.module))

    def _attribute(self, node: ast.Attribute, frame: Frame) -> Value:
        return self.attribute(self.value(node.value, frame), node.attr)

    def attribute(self, value: Value, name: str) -> Value:
        """Return an attribute of a value."""
        if isinstance(value, Either):
            return either(*(self.attribute(one, name) for one in value.values))
        if isinstance(value, Settings) and name == "quant_config":
            return value.quant
        if isinstance(value, Module):
            return self._of_module(value, name)
        if isinstance(value, Defined) and (method := self.tree.method(value, name)):
            return Function(method[0].module, method[1], None, method[0])
        return Unknown(f"{value.text}.{name}" if isinstance(value, Unknown) else name)

    def _of_module(self, module: Module, name: str) -> Value:
        if name in module.attributes:
            return module.attributes[name]
        method = self.tree.method(module.cls, name)
        if method is not None:
            return Function(method[0].module, method[1], module, method[0])
        for one in self.tree.lineage(module.cls):
            for node in one.node.body if isinstance(one.node, ast.ClassDef) else ():
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                    return self.value(node.value, Frame(one.module))
        is_found = name == "quant_config" and any(one.name == FINDS_QUANT for one in self.tree.lineage(module.cls))
        return Quant.GIVEN if is_found else Unknown(name)

    def _several(self, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
        return [self.value(entry, frame) for entry in node.elts]

    def _subscript(self, node: ast.Subscript, frame: Frame) -> Value:
        held, index = self.value(node.value, frame), self.value(node.slice, frame)
        if isinstance(held, list) and held:
            is_place = type(index) is int and -len(held) <= index < len(held)
            return held[index] if is_place else either(*held)
        return Unknown(ast.unparse(node))

    def _counted(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, frame: Frame) -> Value:
        names = {one.id for counter in node.generators for one in ast.walk(counter.target) if isinstance(one, ast.Name)}
        inside = replace(frame, names={**frame.names, **{name: Unknown(name) for name in names}})
        return [self.value(node.value if isinstance(node, ast.DictComp) else node.elt, inside)]

    def _joined_text(self, node: ast.JoinedStr, frame: Frame) -> Value:
        parts = (one.value if isinstance(one, ast.FormattedValue) else one for one in node.values)
        return "".join(in_name(self.value(part, frame)) for part in parts)

    def _sum(self, node: ast.BinOp, frame: Frame) -> Value:
        one, other = self.value(node.left, frame), self.value(node.right, frame)
        is_text = isinstance(node.op, ast.Add) and (isinstance(one, str) or isinstance(other, str))
        return in_name(one) + in_name(other) if is_text else Unknown(ast.unparse(node))

    def _chosen(self, node: ast.IfExp, frame: Frame) -> Value:
        holds = self.truth(node.test, frame)
        if holds is not None:
            return self.value(node.body if holds else node.orelse, frame)
        return either(self.value(node.body, frame), self.value(node.orelse, frame))

    def _first(self, node: ast.BoolOp, frame: Frame) -> Value:
        values = [self.value(one, frame) for one in node.values]
        for value in values[:-1]:
            if _as_truth(value) is isinstance(node.op, ast.Or):
                return value
        return either(*(value for value in values[:-1] if _as_truth(value) is None), values[-1])

    def _named(self, node: ast.NamedExpr, frame: Frame) -> Value:
        frame.names[node.target.id] = value = self.value(node.value, frame)
        return value


def _as_truth(value: Value) -> bool | None:
    """Return whether a value counts as true."""
    if value is None or isinstance(value, str | bool | int | list):
        return bool(value)
    return None if isinstance(value, Unknown | Either) else True
