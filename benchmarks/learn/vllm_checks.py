"""Learn which numbers of a config vLLM's own classes of text models hold against each other, and stop where they do not fit.

    python -m benchmarks.learn.vllm_checks --vllm-python ENV/bin/python

The sources of vLLM 0.32.0 are read: every `assert`, and every `if` that raises, which a class that the architecture's class reaches
says of its config as it is made, whatever else the config says. What is kept are conditions over keys of the config alone. The
result is `ctq/engines/data/vllm_checks.json`. Nothing is downloaded, and no engine is started.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA: Final = ENGINE_DATA / "vllm_checks.json"
TEXT: Final = ("_TEXT_GENERATION_MODELS = {", "\n}")
"""Where vLLM's registry lists text models."""
SIBLING: Final = re.compile(r"^(?:vllm\.model_executor\.models)?\.?(\w+)$")
CONFIG: Final = "config"
SOURCES: Final = ("hf_config", "hf_text_config")
ONE: Final = ("get_tensor_model_parallel_world_size", "get_tp_world_size")
"""Calls that say how many devices there are."""
OTHERS: Final = re.compile(
    r"rope|layer_types|layers_block|quantization|torch_dtype|^dtype$|__|_act$|^act|activation|tie_word"
)
"""Keys that have rules of their own, or that config classes rewrite."""
NULL: Final = re.compile(r"is (not )?None$|^1 > ")
"""What is learnt by loads: no value, and no experts, which a class may hold of layers that a config has none of."""
READ: Final = {"Lfm2ForCausalLM": ["conv_dim != hidden_size", "block_dim != hidden_size"]}
"""What was read by hand: widths of layers between residuals that a class takes of their own keys (models/lfm2.py:214 and :256)."""
KINDS: Final = "layer_types"
WINDOWS: Final = "config.max_window_layers == config.num_hidden_layers"
NODES: Final = (
    ast.Constant, ast.Name, ast.Load, ast.List, ast.Call, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add, ast.Sub, ast.Mult,
    ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Is, ast.IsNot, ast.In, ast.NotIn,
    ast.BoolOp, ast.And, ast.Or, ast.IfExp,
)  # fmt: skip
"""What conditions may be made of, as `ctq.engines.configs.checks` works them out."""

OPPOSITE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


class _UnknownError(Exception):
    """An expression over more than a config."""


@dataclass
class _Module:
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)


def main() -> None:
    python = script(__doc__, "vllm_python").parse_args().vllm_python
    registry = installed(python, "model_executor/models/registry.py")
    texts = registry.partition(TEXT[0])[2].partition(TEXT[1])[0]
    sources = Sources(python)
    every = registered_classes(registry)
    found: dict[str, list[str]] = {}
    for architecture, (module, name) in sorted(registered_classes(texts).items()):
        conditions = dict.fromkeys(READ.get(architecture, ()))
        for one in sources.reached(module, name):
            conditions |= dict.fromkeys(checks_of(one))
        found[architecture] = list(conditions)
    about = (
        "What vLLM 0.32.0's classes of text models check of a config: made by benchmarks/learn/vllm_checks.py from their sources. "
        "By architecture, conditions over keys of the config, under each of which vLLM stops. `one_kind` are architectures whose "
        "layers must be of one kind unless `max_window_layers` is their number."
    )
    of_one_kind = {name: True for name in found if any(map(wants_one_kind, sources.reached(*every[name])))}
    for name in every.keys() - found.keys():
        own = next(sources.reached(*every[name]), None)
        of_one_kind |= {name: True} if own and of_one_kind.keys() & {*_named_inside(own)} else {}
    write_tables(DATA, about, one_kind=of_one_kind, architectures=found)


class Sources:
    """vLLM's modules of models, parsed once."""

    def __init__(self, python: Path) -> None:
        self._python, self._known = python, {}  # type: ignore[var-annotated]

    def reached(self, module: str, name: str) -> Iterator[ast.ClassDef]:
        """Yield a class, first, and those that it names, in its module or in others beside it."""
        waiting, seen = [(module, name)], set()
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            seen.add(one)
            source = self._module(one[0])
            made = source.classes.get(one[1])
            if made is None:
                waiting += [source.imported[one[1]]] if one[1] in source.imported else []
                continue
            yield made
            waiting += [(one[0], node.id) for node in ast.walk(made) if isinstance(node, ast.Name)]

    def _module(self, name: str) -> _Module:
        if name not in self._known:
            self._known[name] = made = _Module()
            try:
                tree = ast.parse(installed(self._python, f"model_executor/models/{name}.py"))
            except ValueError:  # no file of that name
                return made
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    made.classes[node.name] = node
                elif isinstance(node, ast.ImportFrom) and (node.level or "models." in (node.module or "")):
                    other = SIBLING.match(node.module or "")
                    for alias in node.names if other else ():
                        made.imported[alias.asname or alias.name] = (other[1], alias.name) if other else ("", "")
        known: _Module = self._known[name]
        return known


def checks_of(cls: ast.ClassDef) -> Iterator[str]:
    """Yield the conditions over a config under which a class stops as it is made."""
    for function in cls.body:
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            keys = _Keys(function)
            for statement in function.body:
                test = _refused(statement)
                condition = keys.condition(test) if test is not None else None
                if condition is not None:
                    yield condition
                keys.follow(statement)


def _named_inside(cls: ast.ClassDef) -> Iterator[str]:
    """Yield the architectures that a wrapper always makes its text model of."""
    for node in ast.walk(cls):
        if isinstance(node, ast.keyword) and node.arg == "architectures" and isinstance(node.value, ast.List):
            yield from (str(entry.value) for entry in node.value.elts if isinstance(entry, ast.Constant))


def wants_one_kind(cls: ast.ClassDef) -> bool:
    """Tell a class that takes layers of several kinds only where `max_window_layers` is their number."""
    return any(
        "set(" in (test := ast.unparse(node.test)) and KINDS in test and WINDOWS in ast.unparse(node.body[0])
        for node in ast.walk(cls)
        if isinstance(node, ast.If) and isinstance(node.body[0], ast.Assert)
    )


def _refused(statement: ast.stmt) -> ast.expr | None:
    """Return the expression that must not hold after a statement."""
    if isinstance(statement, ast.Assert):
        return ast.UnaryOp(op=ast.Not(), operand=statement.test)
    if isinstance(statement, ast.If) and any(isinstance(entry, ast.Raise) for entry in statement.body):
        return statement.test
    return None


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == 1


def _turned(test: ast.expr) -> ast.expr:
    """Write a denial without "not", where its other way round has a word."""
    if not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        return test
    inner = test.operand
    if isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not):
        return inner.operand
    if isinstance(inner, ast.Compare) and len(inner.ops) == 1:
        [kind] = inner.ops
        return ast.Compare(left=inner.left, ops=[OPPOSITE[type(kind)]()], comparators=inner.comparators)
    return test


class _Keys(ast.NodeTransformer):
    """What names and attributes stand for, as expressions over keys of the config."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self._known: dict[str, ast.expr] = {}
        self._configs = {argument.arg for argument in function.args.args if argument.arg == CONFIG}
        self._configs |= {argument.arg for argument in function.args.kwonlyargs if argument.arg == CONFIG}

    def condition(self, test: ast.expr) -> str | None:
        """Return a test as a condition over keys; None where it asks more."""
        try:
            made = self.visit(ast.parse(ast.unparse(test), mode="eval").body)
        except _UnknownError:
            return None
        made = _turned(made)
        words = {node.id for node in ast.walk(made) if isinstance(node, ast.Name)} - {"len"}
        called = {ast.unparse(node.func) for node in ast.walk(made) if isinstance(node, ast.Call)}
        chained = any(isinstance(node, ast.Compare) and len(node.ops) > 1 for node in ast.walk(made))
        is_plain = all(isinstance(node, NODES) for node in ast.walk(made)) and called <= {"len"} and not chained
        if not is_plain or not words or NULL.search(ast.unparse(made)) or any(OTHERS.search(word) for word in words):
            return None
        return ast.unparse(made)

    def follow(self, statement: ast.stmt) -> None:
        """Take in what a statement assigns; what is assigned under a condition is not known after it."""
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        if len(targets) == 1 and isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            self._assign(ast.unparse(targets[0]), statement.value)
            return
        for node in ast.walk(statement):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                self._forget(ast.unparse(node))

    def _assign(self, target: str, value: ast.expr) -> None:
        source = ast.unparse(value)
        self._forget(target)
        if source in self._configs or source.rpartition(".")[2] in SOURCES:
            self._configs.add(target)
            return
        try:
            self._known[target] = self.visit(ast.parse(source, mode="eval").body)
        except _UnknownError:
            return

    def _forget(self, target: str) -> None:
        self._known.pop(target, None)
        self._configs.discard(target)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # as ast calls it
        if ast.unparse(node.value) in self._configs:
            return ast.Name(id=node.attr, ctx=ast.Load())
        return self._meant(ast.unparse(node))

    def visit_Name(self, node: ast.Name) -> ast.AST:  # as ast calls it
        return self._meant(node.id)

    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:  # as ast calls it
        return ast.List(elts=[self.visit(entry) for entry in node.elts], ctx=ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.AST:  # as ast calls it
        called, arguments = ast.unparse(node.func), node.args
        if called in ONE:
            return ast.Constant(value=1)
        if called == "len" and len(arguments) == 1:
            return ast.Call(func=ast.Name(id="len", ctx=ast.Load()), args=[self.visit(arguments[0])], keywords=[])
        is_key = called == "getattr" and len(arguments) > 1 and isinstance(arguments[1], ast.Constant)
        if is_key and ast.unparse(arguments[0]) in self._configs:
            return ast.Name(id=str(ast.literal_eval(arguments[1])), ctx=ast.Load())
        raise _UnknownError

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:  # as ast calls it
        """Leave out the number of devices."""
        one, other = self.visit(node.left), self.visit(node.right)
        if _is_one(other) and isinstance(node.op, ast.Mult | ast.FloorDiv):
            return one  # type: ignore[no-any-return]
        if _is_one(other) and isinstance(node.op, ast.Mod):
            return ast.Constant(value=0)
        return ast.BinOp(left=one, op=node.op, right=other)

    def _meant(self, name: str) -> ast.AST:
        if name not in self._known:
            raise _UnknownError
        return self._known[name]


if __name__ == "__main__":
    main()
