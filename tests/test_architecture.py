"""The package's imports go one way, and heavy packages stay out of the fast commands."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ctq
from ctq.inspect.rules.table import RULES

ROOT = Path(ctq.__file__).parent
RANK = {
    "errors": 0,
    "events": 0,
    "findings": 0,
    "checkpoint": 1,
    "recipe": 2,
    "kernels": 3,
    "engines": 3,
    "quantize": 4,
    "inspect": 4,
    "verify": 5,
    "cli": 6,
}
RULES_TABLE = "ctq.inspect.rules.table"
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)


def imported(path: Path) -> set[str]:
    """The ctq packages that a file imports, in functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name.split(".")[1] for name in names if name.startswith("ctq.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_up_the_layers_only(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    for name in imported(path) & set(RANK):
        assert name == own or RANK[name] < RANK[own], f"{own} imports {name}"


def modules_of(path: Path) -> set[str]:
    """The ctq modules that a file imports, for types too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ctq."):
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return names


def test_no_file_imports_in_a_circle() -> None:
    names = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in MODULES}
    graph = {name: modules_of(path) & names.keys() for name, path in names.items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_no_room_imports_in_a_circle() -> None:
    rooms = {path.parent for path in MODULES if path.parent.parent != ROOT and path.parent.name != "render"}
    names = {".".join(room.relative_to(ROOT.parent).parts): room for room in rooms}
    graph = {
        name: {
            room
            for path in names[name].glob("*.py")
            for module in modules_of(path)
            for room in names
            if module.startswith(f"{room}.") and room != name and not name.startswith(f"{room}.")
        }
        for name in names
    }
    assert len(graph) > 10
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_no_rule_calls_another() -> None:
    """What rules share lies in facts, in presence, or in a file of their room that holds no rule: each is its page alone."""
    rules = {rule.check.__module__ for rule in RULES}
    assert len(rules) > 20
    for path in MODULES:
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        if name != RULES_TABLE:
            assert not modules_of(path) & rules, f"{name} imports a rule"


@pytest.mark.parametrize("path", [path for path in MODULES if path.relative_to(ROOT).parts[0] != "cli"], ids=str)
def test_only_the_command_line_knows_the_terminal(path: Path) -> None:
    names = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert not names & {"click", "rich"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["rules"]], ids=" ".join)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"import sys; from ctq.cli.main import run; run({arguments!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stderr.split()}
    assert not loaded & {"torch", "transformers", "compressed_tensors", "numba", "numpy", "pydantic", "huggingface_hub"}


def test_nothing_but_the_package_is_installed() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["ctq"]}
