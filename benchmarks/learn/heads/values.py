"""What a constructor works with, as far as heads depend on it: names, settings, modules, heads, and what is not known."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping

    from benchmarks.learn.heads.source_tree import Defined

Value: TypeAlias = Any
"""A text, a truth, None, a list, or one of the classes here."""
ANY_NUMBER: Final = "<idx>"
"""What stands in a name for what is counted."""


class Quant(StrEnum):
    """The quantization config, as a value."""

    GIVEN = "yes"


@dataclass(frozen=True)
class Unknown:
    """A value that the sources alone do not say, by how it is come by."""

    text: str = ""


@dataclass(frozen=True)
class Settings:
    """vLLM's config: the quantization that it carries, and the architectures that it is for, where the source names them."""

    quant: Value = Quant.GIVEN
    architectures: Value = Unknown()


@dataclass(eq=False)
class Module:
    """A module of a model that is built, with the attributes that it sets."""

    cls: Defined
    attributes: dict[str, Value] = field(default_factory=dict)


@dataclass(eq=False)
class Head:
    """A head that is built: its name, the quantization config that it is given, by which module, and what ties it in which.

    ``is_left_out`` says that a placeholder takes its place after all.
    """

    prefix: Value
    quant: Value
    owner: Module | None
    ties: list[tuple[str, Module | None]] = field(default_factory=list)
    is_left_out: bool = False


@dataclass(frozen=True)
class Chosen:
    """A registered model inside, by the name that it is given: the config chooses which, or it has no head of its own."""

    prefix: Value


@dataclass(frozen=True)
class Either:
    """One of several values, by what is not known."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Function:
    """A function or method, where it is defined; the module that it is called on, and names from around it."""

    module: str
    node: ast.FunctionDef | ast.Lambda
    owner: Module | None = None
    cls: Defined | None = None
    around: Mapping[str, Value] = field(default_factory=dict, compare=False)


def either(*values: Value) -> Value:
    """Return the value that several all are, or that it is one of them."""
    flat: list[Value] = []
    for value in values:
        flat += [one for one in options(value) if not any(_is_same(one, other) for other in flat)]
    return flat[0] if len(flat) == 1 else Either(tuple(flat))


def options(value: Value) -> tuple[Value, ...]:
    """Return what a value may be."""
    return value.values if isinstance(value, Either) else (value,)


def in_name(value: Value) -> str:
    """Return what a value adds to a name."""
    first = options(value)[0]
    return first if isinstance(first, str) else ANY_NUMBER


def _is_same(one: Value, other: Value) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))
