"""What classes of vLLM's sources do with a head's tensors as they load them: skip them, or use the embedding's in their place."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from benchmarks.learn.heads.source_tree import Defined, SourceTree

TIED: Final = re.compile(r"\btie|_tie|tying|\btied")
"""What a condition says that asks whether the head is tied."""
SKIPPED: Final = "skip_prefixes"
EMBEDDING: Final = re.compile(r"embed|wte|\bembd")
"""What the embedding is called where it stands for the head."""
LOGITS: Final = ("compute_logits", "_get_logits")


def skipping_ways(tree: SourceTree, cls: Defined, names: Collection[str]) -> list[str]:
    """Return how the loader of a class passes over a head of these names, always or where it is tied."""
    functions = [*_methods(tree, cls, "load_weights"), *_methods(tree, cls, "__init__")]
    ways = []
    if any(_skips_prefix(node, names) for function in functions for node in ast.walk(function)):
        ways.append(SKIPPED)
    if any(_passes_over(node, names) for function in functions for node in ast.walk(function)) or any(
        _maps_to_nothing(node, names) for node in _mapper(tree, cls)
    ):
        ways.append("load_skip")
    return ways


def has_embedding_for_head(tree: SourceTree, cls: Defined) -> bool:
    """Tell a class that makes logits with its embedding."""
    found = next(filter(None, (tree.method(cls, name) for name in LOGITS)), None)
    return found is not None and any(
        isinstance(node, ast.Call) and "logits_processor" in ast.unparse(node.func) and _is_embedding(node)
        for node in ast.walk(found[1])
    )


def _is_embedding(call: ast.Call) -> bool:
    return bool(call.args) and EMBEDDING.search(ast.unparse(call.args[0])) is not None


def _methods(tree: SourceTree, cls: Defined, name: str) -> Iterator[ast.FunctionDef]:
    """Yield a method, and those that it goes on to by `super()`."""
    found = tree.method(cls, name)
    while found is not None:
        yield found[1]
        goes_on = re.search(rf"super\([^)]*\)\.{name}\(", ast.unparse(found[1]))
        found = tree.method(cls, name, found[0]) if goes_on else None


def _mapper(tree: SourceTree, cls: Defined) -> Iterator[ast.AST]:
    """Yield what the table of names of a class is made of."""
    for one in tree.lineage(cls):
        for node in one.node.body if isinstance(one.node, ast.ClassDef) else ():
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "hf_to_vllm_mapper":
                yield from ast.walk(node)
                return


def _skips_prefix(node: ast.AST, names: Collection[str]) -> bool:
    """Tell where the prefixes are stated that a loader skips."""
    if isinstance(node, ast.keyword) and node.arg == SKIPPED:
        return _names(node.value, names)
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == SKIPPED:
        return _names(node.value, names)
    is_added = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
        (f"{SKIPPED}.append", f"{SKIPPED}.extend")
    )
    return is_added and _names(node, names)


def _passes_over(node: ast.AST, names: Collection[str]) -> bool:
    """Tell where a loop leaves a tied head's tensors out."""
    if not isinstance(node, ast.If) or not TIED.search(ast.unparse(node.test)):
        return False
    leaves = any(isinstance(one, ast.Continue) for one in node.body) and _names(node.test, names)
    return leaves or any(_maps_to_nothing(one, names) for one in ast.walk(node))


def _maps_to_nothing(node: ast.AST, names: Collection[str]) -> bool:
    """Tell where a head's names are mapped to none."""
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return any(key is not None and _names(key, names) and _is_none(value) for key, value in pairs)
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return isinstance(target, ast.Subscript) and _names(target.slice, names) and _is_none(node.value)  # type: ignore[attr-defined]


def _names(node: ast.AST, names: Collection[str]) -> bool:
    """Tell whether an expression has a text that begins a head's name."""
    texts = (one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))
    return any(text.split(".")[0] in names for text in texts)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
