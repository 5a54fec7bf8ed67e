"""Learn which tensors of towers and projectors come with a switch of their config, and where vLLM keeps to it.

    python -m benchmarks.learn.tower_switches --vllm-python ENV/bin/python

Every switch of a wrapper's config beside its text model's is turned round. Where transformers then builds the model with other
tensors, vLLM 0.32.0 loads what it built, and the tensors of either build beside the config of the other, which it may need, take or
refuse. The result, `ctq/engines/data/tower_switches.json`, has the form of `optional_tensors.json`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sweep_truth import truth_of
from tower_changes import changes

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import template
from benchmarks.learn.skeletons import read_build
from benchmarks.learn.tower_builds import Maker
from benchmarks.loads import observed
from benchmarks.tower_values import wrappers
from ctq.checkpoint.config import CONFIG_NAME, TIE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA: Final = ENGINE_DATA / "tower_switches.json"


@dataclass(frozen=True)
class Switch:
    """A switch by dotted path, the value that brings tensors, which ones, and the checkpoints that have them and lack them."""

    path: str
    brings: bool
    tensors: tuple[str, ...]
    having: Path
    lacking: Path


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    tensors: dict[str, dict[str, list[Any]]] = {}
    asked: dict[str, dict[str, list[list[bool]]]] = {}
    for name, family in wrappers().items():
        if options.families and name not in options.families:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            for switch in switches(Maker(family, Path(scratch))):
                answer = needed_and_taken(switch, options.vllm_python)
                print(family.architecture, switch.path, switch.brings, *switch.tensors, answer, flush=True)
                if answer is not None:
                    asked.setdefault(family.architecture, {})[switch.path] = list(answer)
                    rows = {tensor: [switch.path, switch.brings] for tensor in switch.tensors}
                    tensors.setdefault(family.architecture, {}).update(rows)
    write(tensors, asked)


def switches(make: Maker) -> Iterator[Switch]:
    """Yield the switches beside the text model whose turning changes what tensors there are."""
    usual = make.write({})
    if usual is None:
        return
    base = set(map(template, read_build(usual).shapes))
    for change in changes(json.loads(json.dumps(make.config, default=str))):  # as a file has it
        other = make.write({change.path: change.value}) if _is_turned(change.path, change.value) else None
        if other is None:
            continue
        there = set(map(template, read_build(other).shapes))
        if there - base:
            yield Switch(change.path, change.value, tuple(sorted(there - base)), other, usual)
        elif base - there:
            yield Switch(change.path, not change.value, tuple(sorted(base - there)), usual, other)


def _is_turned(path: str, value: object) -> bool:
    return isinstance(value, bool) and path.rpartition(".")[2] != TIE_KEY


def needed_and_taken(switch: Switch, python: Path) -> tuple[list[bool], list[bool]] | None:
    """Return the values under which vLLM needs the tensors, and those under which it takes them; None where it serves no build.

    What it takes under one value alone it has under that one: it needs the tensors there, though it may not miss a buffer.
    """
    with tempfile.TemporaryDirectory() as scratch:
        missing = _crossed(switch.lacking, switch.having, Path(scratch) / "missing")
        surplus = _crossed(switch.having, switch.lacking, Path(scratch) / "surplus")
        seen = observed([switch.having, switch.lacking, missing, surplus], python)
    with_them, without, lost, more = (
        truth_of(one, base)[0] for one, base in zip(seen, (None, None, seen[0], seen[1]), strict=True)
    )
    if not without.is_good:
        return None
    takes = [value for value, truth in ((switch.brings, with_them), (not switch.brings, more)) if truth.is_good]
    needs = [switch.brings] if switch.brings in takes and (not lost.is_good or takes == [switch.brings]) else []
    return needs, takes


def _crossed(weights: Path, config: Path, folder: Path) -> Path:
    """Put the weights of one checkpoint beside the config of another."""
    shutil.copytree(weights, folder)
    shutil.copyfile(config / CONFIG_NAME, folder / CONFIG_NAME)
    return folder


def write(tensors: dict[str, Any], asked: dict[str, Any]) -> None:
    """Write the data, an architecture a line."""
    about = (
        "Tensors of towers and projectors that come with a switch: made by benchmarks/learn/tower_switches.py. `architectures` "
        "have the switch of each tensor by dotted path and the value that brings it, `vllm` the values of a switch under which "
        "vLLM 0.32.0 needs its tensors and those under which it takes them."
    )
    write_tables(DATA, about, architectures=tensors, vllm=asked)


if __name__ == "__main__":
    main()
