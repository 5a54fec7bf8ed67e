"""Learn which dense layers vLLM builds quantized where `ignore` leaves them out: routers, towers, projectors, by architecture.

    python -m benchmarks.learn.unignored_layers --vllm-python ENV/bin/python

Every family of `tests/support/models/families.py` and every wrapper of `mirrored_multimodal.py` is quantized, without its head and
with it; then the real vLLM loads it once for each kind of dense matrix with only that kind left out of `ignore`. The result,
`ctq/engines/data/unignored_layers.json`, tells inspection whether a dense layer that only a class target reaches is served. Nothing
is downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from builders import edit_config
from families import FAMILIES, SWEPT, build
from mirrored import build_mirrored
from mirrored_multimodal import MIRRORED_MULTIMODAL
from sweep_quantize import quantize_as
from sweep_truth import serves

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.loads import observed
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.facts.collect import collect_facts
from ctq.inspect.modules.forms import Form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DATA: Final = ENGINE_DATA / "unignored_layers.json"
NONE: Final = "none"
MIRRORED: Final = {row.name: row for row in MIRRORED_MULTIMODAL}
SCHEMES: Final = ("no head", "W8A8")


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    known = json.loads(DATA.read_text())["architectures"] if options.families else {}
    found: dict[str, dict[str, bool]] = defaultdict(dict, known)
    with tempfile.TemporaryDirectory() as scratch:
        jobs = [
            (name, scheme, kind, folder)
            for name, dense in denses(options.families or [*FAMILIES, *MIRRORED], Path(scratch), options.vllm_python)
            for scheme in SCHEMES
            for kind, folder in variants(name, scheme, dense, Path(scratch))
        ]
        loads = observed([folder for *_, folder in jobs], options.vllm_python)
    seen = {tuple(case): one for (*case, _), one in zip(jobs, loads, strict=True)}
    for (name, scheme, kind), observation in seen.items():
        control = seen[name, scheme, NONE]
        if kind != NONE and serves(control, control):
            learnt = found[(MIRRORED.get(name) or SWEPT[name]).architecture]
            learnt[kind] = learnt.get(kind, False) or not serves(observation, control)
    write(found)


def denses(names: Iterable[str], scratch: Path, python: Path) -> Iterator[tuple[str, Path]]:
    """Build the dense originals; what this machine does not build is left out."""
    mirrored = [MIRRORED[name] for name in names if name in MIRRORED]
    wrong = build_mirrored(mirrored, scratch / "mirrored", python=python)
    for name in names:
        if name not in MIRRORED:
            yield name, build(name, scratch / name / "dense")
        elif str(scratch / "mirrored" / name) not in wrong:
            yield name, scratch / "mirrored" / name


def variants(name: str, scheme: str, dense: Path, scratch: Path) -> list[tuple[str, Path]]:
    """Make the checkpoints of one family: every dense matrix ignored by name, and each kind of them left out in turn."""
    scratch = scratch / name / scheme.replace(" ", "-")
    made = quantize_as(scheme, dense, scratch / "base")
    if not made.promise:
        return []
    kinds: dict[str, list[str]] = defaultdict(list)
    facts = collect_facts(open_checkpoint(LocalFolder(made.folder)))
    names = facts.names
    for entry in facts.entries:
        weight = entry.modules.parts.get("weight")
        if entry.stored.form is Form.DENSE and weight is not None and len(weight.shape) == 2:  # a matrix
            kinds["head" if entry.is_head else entry.kind.value] += entry.modules.names
    folders = []
    for kind in (NONE, *(kind for kind in kinds if kind not in ("head", "embedding"))):
        kept = [module for other, modules in kinds.items() if other != kind for module in modules]
        folder = shutil.copytree(made.folder, scratch / f"without-{kind}")

        def change(config: dict[str, Any], kept: list[str] = kept) -> None:
            head = ["re:.*lm_head$"] if scheme == "no head" else []
            moved = [name for module in kept if names is not None and (name := names.module(module))]
            config["quantization_config"]["ignore"] = [*head, *kept, *dict.fromkeys(map(beside, [*kept, *moved]))]

        edit_config(folder, change)
        folders.append((kind, folder))
    print(name, scheme, [kind for kind, _ in folders], flush=True)
    return folders


def beside(module: str) -> str:
    """Return a pattern of what lies beside a module, under whatever name vLLM fuses them and by whatever prefix it calls them."""
    return rf"re:(.*\.)?{re.escape(module.rpartition('.')[0].removeprefix('model.'))}\.[^.]+$"


def write(found: dict[str, dict[str, bool]]) -> None:
    """Write the data, an architecture a line."""
    about = (
        "Whether vLLM builds dense matrices of a kind quantized where a class target reaches them: made by "
        "benchmarks/learn/unignored_layers.py."
    )
    write_tables(DATA, about, architectures=found)


if __name__ == "__main__":
    main()
