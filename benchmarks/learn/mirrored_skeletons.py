"""Learn the skeletons of text models that transformers does not build, from vLLM's own classes read backwards.

    python -m benchmarks.learn.mirrored_skeletons --vllm-python ENV/bin/python [--families NAME ...]

As `skeletons.py` does with transformers' builds: checkpoints of `tests/support/mirrors/mirrored*.py` are written again and again
with one number or one switch of the config changed, and loaded with one tensor too many. What is learnt is added to
`ctq/engines/data/skeletons.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mirrored import build_mirrored
from mirrored_default import MIRRORED_DEFAULT
from mirrored_layers import MIRRORED_LAYERS
from mirrored_text import MIRRORED_TEXT
from sweep_truth import serves

from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import fit
from benchmarks.learn.skeleton_variants import Learnt, mend
from benchmarks.learn.skeletons import (
    DATA,
    FEWEST,
    Json,
    changes_of,
    probe,
    probes_of,
    read_build,
    refused_places,
    write,
)
from benchmarks.loads import observed
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from mirrored import Mirrored

    from benchmarks.learn.skeleton_fit import Build

HEAD_DIM: Final = "head_dim"
OTHERWISE: Final = frozenset({"Gemma4ForCausalLM", "GraniteMoeSWAForCausalLM"})
"""Architectures that transformers builds too, under other names or with sizes that this way does not find."""
ROWS: Final = (*MIRRORED_TEXT, *MIRRORED_LAYERS, *MIRRORED_DEFAULT)
OF_TEXT: Final = {row.name: row for row in ROWS if "text_config" not in row.config}


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    served_alike = read_data("borrowed_skeletons")["same"]
    known: Json = json.loads(DATA.read_text())["architectures"]
    rows = [OF_TEXT[name] for name in (options.families or ())] or [
        row
        for row in OF_TEXT.values()
        if row.architecture.endswith(("ForCausalLM", "ChatGLMModel"))
        and row.architecture not in {*known, *OTHERWISE}
        and row.architecture not in served_alike
    ]
    with tempfile.TemporaryDirectory() as scratch:
        found = learn(rows, Path(scratch), options.vllm_python)
    write(known | found)


def learn(rows: list[Mirrored], scratch: Path, python: Path) -> Json:
    """Return the skeleton of each architecture of whose checkpoints the engine loads one, and of which enough was built."""
    builds = builds_of(rows, scratch, python)
    jobs = [(row.name, "", scratch / row.name) for row in rows if row.name in builds]
    for name, made in builds.items():
        for key, tensor in probes_of(made[0].shapes).items():
            jobs.append((name, key, probe(scratch / name, scratch / "probes" / name / key, tensor)))
    answers = zip(jobs, observed([folder for *_, folder in jobs], python), strict=True)
    seen = {(name, key): one for (name, key, _), one in answers}
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        groups[row.architecture].append(row.name)
    configs = {row.name: row.config for row in rows}
    found: Json = {}
    for architecture, names in groups.items():
        groups_of_builds = [builds[name] for name in names if name in builds]
        every = [build for group in groups_of_builds for build in group]
        served = [name for name in names if name in builds and serves(seen[name, ""])]
        if len(every) < FEWEST or not served:
            print(f"{architecture}: {len(served)} served, not learnt", flush=True)
            continue
        # without a stated width of heads its sizes were learnt of the width over the heads
        computed = [] if all(HEAD_DIM in configs[name] for name in names) else [HEAD_DIM]
        entry = {"embedding": None, "refuses": refused_places(served, seen), "inner": None, "computed": computed}
        found[architecture] = entry | {"tensors": fit(groups_of_builds)}
        print(architecture, *mend(found[architecture], Learnt(every, [])), sep="; ", flush=True)
    return found


def builds_of(rows: list[Mirrored], scratch: Path, python: Path) -> dict[str, list[Build]]:
    """Write each checkpoint and its variants; what vLLM's class does not take is left out."""
    build_mirrored(rows, scratch, python=python)
    found = {row.name: [read_build(scratch / row.name)] for row in rows if _is_written(scratch / row.name)}
    variants = {
        f"{row.name}-{number}": (row.name, replace(row, name=f"{row.name}-{number}", config={**row.config, **change}))
        for row in rows
        for number, change in enumerate(changes_of(found[row.name][0]) if row.name in found else [])
    }
    build_mirrored([row for _, row in variants.values()], scratch / "variants", python=python)
    for name, (origin, _) in variants.items():
        folder = scratch / "variants" / name
        made, first = (read_build(folder), found[origin][0]) if _is_written(folder) else (None, None)
        if made is not None and first is not None and _differs(made, first):
            found[origin].append(made)
    print({name: len(made) for name, made in found.items()}, flush=True)
    return found


def _is_written(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def _differs(one: Build, other: Build) -> bool:
    return (one.numbers, one.switches, one.shapes) != (other.numbers, other.switches, other.shapes)


if __name__ == "__main__":
    main()
