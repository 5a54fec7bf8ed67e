"""Tiny checkpoints of architectures that transformers cannot build by itself, as vLLM's own classes would load them.

Their configuration is written here as the published ones are, with an ``auto_map`` where theirs lies in the repository; names, shapes
and dtypes of the tensors are read off vLLM's model, backwards through its loader (`mirror_worker`).
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker_environment import worker_environment

WORKER = Path(__file__).with_name("mirror_worker.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrored:
    """One row: the class that vLLM builds and the configuration that it is built from.

    ``remote`` says that published configurations bring code of their own; ``merges`` (pattern, replacement, cat|stack|first) give tensors
    the names and forms of published files where a loader takes those apart itself; ``tokens`` are special ones that the class asks for;
    ``shrunk`` that ``config`` is what differs from the class's default one made small.
    """

    name: str
    architecture: str
    model_type: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    remote: bool = True
    merges: tuple[tuple[str, str, str], ...] = ()
    tokens: tuple[str, ...] = ()
    shrunk: bool = False


def build_mirrored(rows: Iterable[Mirrored], root: Path, *, python: Path) -> dict[str, str]:
    """Write a folder of ``root`` for each row, those that are there left as they are; return what went wrong, by name."""
    jobs = []
    for row in rows:
        folder = root / row.name
        if not any(folder.glob("*.safetensors")):
            write_config(row, folder)
            jobs.append({"folder": str(folder), "merges": row.merges, "shrunk": row.shrunk})
    return _run(jobs, python) if jobs else {}


def build_holes(folders: Iterable[Path], *, python: Path) -> dict[str, str]:
    """Write what vLLM would load of each config as headers over holes, of whatever size; return what went wrong, by name."""
    jobs = [{"folder": str(folder.absolute()), "merges": [], "shrunk": False, "holes": True} for folder in folders]
    return _run(jobs, python) if jobs else {}


def write_config(row: Mirrored, folder: Path) -> None:
    """Write what such a checkpoint has beside its tensors."""
    config: dict[str, Any] = {"architectures": [row.architecture], **row.config}
    if row.model_type:
        config["model_type"] = row.model_type
    if row.remote:
        config["auto_map"] = {"AutoConfig": f"configuration_{row.model_type}.Config"}
    folder.mkdir(parents=True, exist_ok=True)
    if row.remote:
        (folder / f"configuration_{row.model_type}.py").write_text("class Config: ...\n")
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    if row.tokens:
        from tiny_tokenizer import save_tokenizer

        save_tokenizer(folder, more=row.tokens)


def _run(jobs: Sequence[Mapping[str, Any]], python: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder) / "request.json"
        request.write_text(json.dumps(jobs))
        command = [str(python), str(WORKER), str(request)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=folder, env=worker_environment(), check=False
        )
    lines = [
        json.loads(line.removeprefix("mirror ")) for line in done.stdout.splitlines() if line.startswith("mirror ")
    ]
    assert len(lines) == len(jobs), done.stderr[-2000:]
    return {line["folder"]: line["error"] for line in lines if "error" in line}
