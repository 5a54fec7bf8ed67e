"""What is done to a written folder: files beside, the index edited, the tensors dealt out to shards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from dense_builder import edit_index
from field_model import Json, Model
from raw_safetensors import write_safetensors


def later(m: Model, change: Callable[[Path], object]) -> None:
    m.after.append(change)


def sharded(m: Model, count: int = 3) -> list[str]:
    """Spread the tensors over several files, as they come."""
    names = list(m.tensors)
    files = [f"model-{number + 1:05d}-of-{count:05d}.safetensors" for number in range(count)]
    m.places = {name: files[number * count // len(names)] for number, name in enumerate(names)}
    return files


def in_index(m: Model, d: Random, change: Callable[[Json], object]) -> None:
    sharded(m)
    later(m, lambda folder: edit_index(folder, lambda index: change(index["weight_map"])))


def beside(m: Model, name: str, content: bytes | dict[str, Any]) -> None:
    def act(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            write_safetensors(path, content, metadata={"format": "pt"})

    later(m, act)
