"""Quantizing in tests: the library's own way, start to end, without the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.quantize.job import Job
from ctq.quantize.plan import Plan, build_plan
from ctq.quantize.run import RunSummary, run_plan
from ctq.recipe.recipe import Recipe

INCLUDED = Recipe(lm_head=True)


def plan_of(source: Path, recipe: Recipe = INCLUDED, *, max_shard_size: int = 5 * 10**9, allow: bool = False) -> Plan:
    """Plan the quantization of a folder."""
    checkpoint = open_checkpoint(LocalFolder(source))
    return build_plan(checkpoint, recipe, max_shard_size=max_shard_size, allow_unsupported_head=allow)


def quantize(
    source: Path, out: Path, recipe: Recipe = INCLUDED, *, max_shard_size: int = 5 * 10**9, **job: Any
) -> RunSummary:
    """Quantize a folder to ``out``."""
    plan = plan_of(source, recipe, max_shard_size=max_shard_size)
    return run_plan(plan, Job(source=source, out=out, model=source.name, **job))


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
