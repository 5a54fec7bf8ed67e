"""Fixtures for the whole suite: real checkpoints, each built once per session."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class CheckpointFactory(Protocol):
    """Give the folder of a family's checkpoint; options as in `families.build_family`."""

    def __call__(self, family: str, **options: Any) -> Path: ...


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> CheckpointFactory:
    """Build each checkpoint once per session, shared by all workers; copy the folder before changing anything in it."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "checkpoints"
    shared.mkdir(exist_ok=True)

    def give(family: str, **options: Any) -> Path:
        digest = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:8]
        folder = shared / (f"{family}-{digest}" if options else family)
        if not folder.exists():
            _build_once(family, folder, options)
        return folder

    return give


def _build_once(family: str, folder: Path, options: dict[str, Any]) -> None:
    """Build beside and rename: a worker that comes second drops its own and takes the first one's."""
    from families import build

    private = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    build(family, private, **options)
    try:
        private.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(private)
