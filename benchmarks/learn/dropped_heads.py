"""Store which architectures of the installed vLLM drop a head's tensors without a word.

    python -m benchmarks.learn.dropped_heads --vllm-python ENV/bin/python

A class drops them where its mapper, or its loading, maps names that start with `lm_head` to nothing or ignores them unexpected. The
result is `ctq/engines/data/dropped_heads.json`. Nothing is downloaded, and no engine is started: vLLM's sources are read.
"""

from __future__ import annotations

import ast
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.known_names import installed
from benchmarks.learn.options import script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DROPPED_HEADS: Final = ENGINE_DATA / "dropped_heads.json"
ENTRY: Final = re.compile(r'"(\w+)": \(\s*"([\w.]+)",\s*"(\w+)"')
HEAD: Final = "lm_head.weight"
MODELS: Final = "vllm.model_executor.models"
LOADERS: Final = ("hf_to_vllm_mapper", "load_weights")
"""Where a class says what it does with names."""


def main() -> None:
    python = script(__doc__, "vllm_python").parse_args().vllm_python
    registered = ENTRY.findall(installed(python, "model_executor/models/registry.py"))
    found = sorted({name for name, module, owner in registered if drops(python, absolute(module, MODELS), owner)})
    about = "Architectures of vLLM 0.32.0 that drop a head's tensors unread: made by benchmarks/learn/dropped_heads.py."
    DROPPED_HEADS.write_text(json.dumps({"about": about, "architectures": found}, indent=1) + "\n")


def drops(python: Path, module: str, owner: str) -> bool:
    """Tell whether a class drops a head's tensors, by its own mapper and loading or those that it inherits."""
    found = (definition(python, module, owner, name) for name in LOADERS)
    return any(node is not None and drops_head(node) for node in found)


def definition(python: Path, module: str, owner: str, name: str) -> ast.stmt | None:
    """Return the statement that defines ``name`` in a class or in the nearest one that it inherits it from."""
    tree = parsed(python, module)
    found = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner), None)
    if found is None:
        origin = next((source for known, source in imports(tree, module) if known == owner), None)
        return definition(python, origin, owner, name) if origin is not None else None
    own = next((node for node in found.body if name_of(node) == name), None)
    bases = [base.id for base in found.bases if isinstance(base, ast.Name)]
    return own or next(filter(None, (definition(python, module, base, name) for base in bases)), None)


def drops_head(node: ast.AST) -> bool:
    """Tell whether a mapper or a loader has an entry that maps a head's names to nothing, or ignores them."""
    for part in ast.walk(node):
        if isinstance(part, ast.Dict):
            keys = [
                key
                for key, value in zip(part.keys, part.values, strict=True)
                if isinstance(value, ast.Constant) and value.value is None
            ]
        elif isinstance(part, ast.keyword) and part.arg == "ignore_unexpected_prefixes":
            keys = list(getattr(part.value, "elts", ()))
        else:
            continue
        if any(isinstance(key, ast.Constant) and key.value and HEAD.startswith(str(key.value)) for key in keys):
            return True
    return False


def name_of(node: ast.stmt) -> str | None:
    """Return the name that a statement of a class defines."""
    if isinstance(node, ast.FunctionDef):
        return node.name
    target = (
        node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.AnnAssign) else None
    )
    return target.id if isinstance(target, ast.Name) else None


@lru_cache
def parsed(python: Path, module: str) -> ast.Module:
    """Return a module of vLLM as a tree; one that is elsewhere, or a package, is empty."""
    if not module.startswith("vllm."):
        return ast.Module([], [])
    path = module.removeprefix("vllm.").replace(".", "/")
    for file in (f"{path}.py", f"{path}/__init__.py"):
        if any(python.parents[1].glob(f"lib/python3*/site-packages/vllm/{file}")):
            return ast.parse(installed(python, file))
    return ast.Module([], [])


def imports(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    """Yield each imported name with the module that it comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            parent = module.split(".")[: -node.level] if node.level else []
            for alias in node.names:
                yield alias.asname or alias.name, ".".join([*parent, *filter(None, [node.module])])


def absolute(module: str, package: str) -> str:
    """Return the full name of a module that the registry names."""
    return module if module.startswith("vllm.") else f"{package}.{module}"


if __name__ == "__main__":
    main()
