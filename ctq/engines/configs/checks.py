"""What transformers' config classes check of several numbers at once, which vLLM reads configs by too.

The data is made by ``benchmarks/learn/config_fields.py`` from the classes' own code: conditions over keys of the config, as Python
writes them (``hidden_size % num_attention_heads != 0``), under each of which a class refuses the config. They are worked out here
with the values that a config states or its class assumes, and nothing is executed.
"""

from __future__ import annotations

import ast
import operator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ctq.checkpoint.config import dotted
from ctq.engines.configs.fields import assumed_by, other_names, reads_itself
from ctq.engines.configs.read_levels import read_levels
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.engines.refused import Refused

_ARITHMETIC: Final[Mapping[type, Callable[[Any, Any], object]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
_COMPARISONS: Final[Mapping[type, Callable[[Any, Any], object]]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda one, other: one in other, ast.NotIn: lambda one, other: one not in other,
}  # fmt: skip

_SIGNS: Final[Mapping[type, Callable[[Any], object]]] = {ast.Not: operator.not_, ast.USub: operator.neg}


class _UnknownError(Exception):
    """A condition over what is not known."""


def broken_checks(config: ModelConfig) -> Iterator[Refused]:
    """Yield the first key of each condition that holds, by dotted path, and the condition."""
    if reads_itself(config.model_type):
        return
    for path, level in read_levels(config):
        yield from holding(read_data("config_fields")["checks"].get(str(level.get("model_type")), ()), path, level)


def holding(conditions: Iterable[str], path: str, level: Mapping[str, Any]) -> Iterator[Refused]:
    """Yield those of ``conditions`` that hold in a level of a config: the first key, by dotted path, and what does not fit."""
    for condition in conditions:
        tree = _parsed(condition)
        try:
            holds = bool(_value(tree, level))
        except (_UnknownError, TypeError, ArithmeticError):
            continue
        if holds:
            key = next(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id != "len")
            yield dotted(path, key), f"does not fit: loaders refuse a config where {condition}"


@lru_cache(maxsize=64)
def _parsed(condition: str) -> ast.expr:
    return ast.parse(condition, mode="eval").body


def _value(node: ast.expr, level: Mapping[str, Any]) -> Any:  # noqa: ANN401  # of whatever type the key has
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=key):
            return _stated(level, key)
        case ast.List(elts=entries):
            return [_value(entry, level) for entry in entries]
        case ast.Call(func=ast.Name(id="len"), args=[inner]):
            return len(_value(inner, level))
        case ast.UnaryOp(op=kind, operand=inner) if type(kind) in _SIGNS:
            return _SIGNS[type(kind)](_value(inner, level))
        case ast.BinOp(left=one, op=kind, right=other) if type(kind) in _ARITHMETIC:
            return _ARITHMETIC[type(kind)](_number(one, level), _number(other, level))
        case ast.Compare(left=one, ops=[kind], comparators=[other]) if type(kind) in _COMPARISONS:
            return _COMPARISONS[type(kind)](_value(one, level), _value(other, level))
    return _choice(node, level)


def _number(node: ast.expr, level: Mapping[str, Any]) -> int | float:
    """Return a number: on texts and lists the same operators format and repeat."""
    value = _value(node, level)
    if not isinstance(value, int | float):
        raise _UnknownError
    return value


def _choice(node: ast.expr, level: Mapping[str, Any]) -> Any:  # noqa: ANN401  # of whatever type the key has
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_value(part, level) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_value(part, level) for part in parts)
        case ast.IfExp(test=test, body=one, orelse=other):
            return _value(one if _value(test, level) else other, level)
    raise _UnknownError


def _stated(level: Mapping[str, Any], key: str) -> object:
    """Return what a level states of a key, under whatever name, or what its class assumes; what that works out is not known."""
    for name in other_names(level.get("model_type"), key):
        if name in level:
            return level[name]
    value = assumed_by(level.get("model_type"), key)
    if value is None:
        raise _UnknownError
    return value
