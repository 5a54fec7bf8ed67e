"""Gemma 4, whose layers differ: some share the keys of others, some take their keys for values, some have experts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors
from families import build

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

Tensors = dict[str, Raw]
TEXT = ("learnt-gemma4-shared-keys", "learnt-gemma4-moe")
WRAPPERS = ("learnt-gemma4-mm-moe", "learnt-gemma4-unified-dense")
LAYER = "layers.1"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("gemma4")
    return {name: build(name, root / name) for name in (*TEXT, *WRAPPERS)}


def errors(folder: Path) -> set[str]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    return {finding.code for finding in report.findings if finding.severity is Severity.ERROR}


@pytest.mark.parametrize("name", [*TEXT, *WRAPPERS])
def test_a_healthy_one(name: str, originals: dict[str, Path]) -> None:
    assert errors(originals[name]) == set()


@pytest.mark.parametrize("name", ["learnt-gemma4-moe", "learnt-gemma4-mm-moe"])
@pytest.mark.parametrize(
    ("ending", "change", "code"),
    [
        ("self_attn.q_norm.weight", lambda tensors, name: tensors.pop(name), "TEN020"),
        ("self_attn.o_proj.weight", lambda tensors, name: tensors.update({f"{name}s": tensors.pop(name)}), "TEN024"),
        ("mlp.up_proj.weight", lambda tensors, name: tensors.update({name: longer(tensors[name])}), "TEN026"),
        ("router.scale", lambda tensors, name: tensors.pop(name), "TEN020"),
    ],
)
def test_a_broken_one(
    ending: str,
    change: Callable[[Tensors, str], object],
    code: str,
    name: str,
    originals: dict[str, Path],
    tmp_path: Path,
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for path in originals[name].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())

    def broken(tensors: Tensors) -> None:
        change(tensors, next(tensor for tensor in tensors if tensor.endswith(f"{LAYER}.{ending}")))

    edit_tensors(folder, broken)
    assert code in errors(folder)


def longer(raw: Raw) -> Raw:
    """Return a matrix of some columns more."""
    rows, columns = raw.shape
    return Raw(raw.dtype, (rows, columns + 16), bytes(2 * rows * (columns + 16)))
