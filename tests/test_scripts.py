"""Scripts in `benchmarks/`: asked for `--help`, each says what it does, and does nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path
    for path in (ROOT / "benchmarks").rglob("*.py")
    if any(
        isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in ast.parse(path.read_text()).body
    )
)
PARSERS = ("argparse.ArgumentParser(", "script(__doc__")


def module_of(path: Path) -> str:
    """The script as ``python -m`` takes it: a package stands for its ``__main__``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_script_reads_its_command_line(path: Path) -> None:
    text = path.read_text()
    assert any(parser in text for parser in PARSERS), "without a parser `--help` runs it"
    called = f"python -m {module_of(path)}"
    assert called in (ast.get_docstring(ast.parse(text)) or ""), "its first lines say how it is called"


@pytest.mark.parametrize("name", ["benchmarks.learn.backend_architectures", "benchmarks.support_page"])
def test_help_ends_before_the_work(name: str) -> None:
    command = [sys.executable, "-m", name, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env={"COLUMNS": "120"})
    assert done.stdout.startswith("usage:")
    assert f"python -m {name}" in done.stdout
