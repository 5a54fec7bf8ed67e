"""What a module's own ``load_weights`` does to names, found by calling it with nothing and by reading its lists.

Runs in vLLM's interpreter.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mirror_inverse import Row


@dataclass
class Loading:
    """The mappers that a loader applies, in order, the lists in its code, and its rows for experts."""

    mappers: list[Any] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    experts: list[list[tuple[str, str, int, str]]] = field(default_factory=list)


def study(module: Any) -> Loading:
    """Find out how a module loads."""
    loading = Loading(rows=_lists_of(type(module)))
    with _watched(loading), contextlib.suppress(Exception):  # some want a first tensor: their lists say enough
        made = module.load_weights(iter(()))
        if inspect.isgenerator(made):
            list(made)
    return loading


@contextlib.contextmanager
def _watched(loading: Loading) -> Iterator[None]:
    from vllm.model_executor.layers.fused_moe.routed_experts import RoutedExperts
    from vllm.model_executor.models.utils import WeightsMapper

    apply, build = WeightsMapper.apply, RoutedExperts.__dict__["build_expert_params_mapping"]

    def noted_apply(self: Any, weights: Any) -> Any:
        loading.mappers.append(self)
        return apply(self, weights)

    def noted_build(*args: Any, **kwargs: Any) -> Any:
        rows = build.__func__(*args, **kwargs)
        loading.experts.append(rows)
        return rows

    WeightsMapper.apply = noted_apply
    RoutedExperts.build_expert_params_mapping = staticmethod(noted_build)
    try:
        yield
    finally:
        WeightsMapper.apply, RoutedExperts.build_expert_params_mapping = apply, build


def _lists_of(kind: type) -> list[Row]:
    """Return the literal (parameter, files, shard) in the code of a class's loader and of the methods that it calls."""
    loader = getattr(kind, "load_weights", None)
    tree = _tree(loader)
    called = set(re.findall(r"self\.(\w+)\(", ast.unparse(tree)))
    trees = [tree, *(_tree(getattr(kind, name, None)) for name in sorted(called))]
    return [row for tree in trees for node in ast.walk(tree) if isinstance(node, ast.List) for row in _rows(node)]


def _tree(function: Any) -> ast.AST:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (TypeError, OSError, SyntaxError):
        return ast.Module(body=[], type_ignores=[])


def _rows(node: ast.List) -> Iterator[Row]:
    for element in node.elts:
        if not isinstance(element, ast.Tuple) or len(element.elts) not in (2, 3):
            continue
        with contextlib.suppress(ValueError):
            values = [ast.literal_eval(part) for part in element.elts]
            if isinstance(values[0], str) and isinstance(values[1], str):
                yield values[0], values[1], values[2] if len(values) == 3 else None
