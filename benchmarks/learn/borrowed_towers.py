"""Learn the towers and projectors of wrappers that transformers does not build (InternVL, MiniCPM-V, Kimi-VL, ...).

    python -m benchmarks.learn.borrowed_towers --vllm-python ENV/bin/python

Each wrapper of `tests/support/mirrors/mirrored_multimodal.py` without a skeleton is written as vLLM 0.32.0 builds it, with every
number of its config beside the text model changed: what moves with it tells which numbers a dimension is made of and how long a
list is. vLLM then loads it as it is, which shows the tensors that it leaves unread, and with a layer too many or too few in each
list. The result goes into `ctq/engines/data/borrowed_skeletons.json`. Nothing is downloaded.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dense_builder import edit_config
from mirrored import build_mirrored
from mirrored_multimodal import MIRRORED_MULTIMODAL
from sweep_truth import Truth, serves, truth_of

from benchmarks.learn.borrowed_skeletons import ABOUT, DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.mirrored_numbers import ATTEMPTS, every_number, levels_of, numbers_of, put
from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import Build, template, written
from benchmarks.learn.skeleton_towers import rank
from benchmarks.learn.skeletons import read_build
from benchmarks.learn.tower_builds import Variant, fit
from benchmarks.learn.tower_lists import MARK, counts_of, numbered
from benchmarks.learn.tower_lists import apart as marked_apart
from benchmarks.loads import observed
from ctq.checkpoint.config import parse_config
from ctq.engines.vllm_models.heads import head_support
from ctq.engines.vllm_models.names import EngineNames, names_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirrored import Mirrored
    from sweep_truth import Observation

    from ctq.checkpoint.config import ModelConfig

Json: TypeAlias = dict[str, Any]
TYPE: Final = "model_type"


@dataclass(frozen=True, kw_only=True)
class Study:
    """One wrapper: its first build, those with a number changed, and its lists of layers by the number that counts them."""

    row: Mirrored
    folder: Path
    first: Build
    variants: list[Variant]
    lists: dict[str, str]
    longer: Path
    shorter: Path


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    known: Json = json.loads(DATA.read_text())
    rows = [row for row in MIRRORED_MULTIMODAL if row.architecture in known["wrappers"] and has_text_apart(row, known)]
    names = {row.architecture for row in rows if not options.families or row.name in options.families}
    with tempfile.TemporaryDirectory() as scratch:
        studies = studied([row for row in rows if row.architecture in names], Path(scratch), options.vllm_python)
        seen = loaded(studies, options.vllm_python)
    for architecture in sorted({study.row.architecture for study in studies}):
        found = [facts_of(one, seen) for one in studies if one.row.architecture == architecture]
        known["wrappers"][architecture] |= joined([one for one in found if one])
        print(architecture, json.dumps(known["wrappers"][architecture])[:2000], flush=True)
    write_tables(DATA, ABOUT, **{name: table for name, table in known.items() if name != "about"})


def has_text_apart(row: Mirrored, known: Json) -> bool:
    """Tell a wrapper whose text model is known apart: by a config inside, or as the one that its class takes."""
    config = parse_config(json.dumps(row.config).encode())
    return len(config.text_levels) > 1 or "inner" in known["wrappers"][row.architecture]


def studied(rows: Sequence[Mirrored], scratch: Path, python: Path) -> list[Study]:
    """Write each wrapper with each number as it is, doubled, halved or one more, alone or with another of its level."""
    made = written_rows({row.name: row for row in rows}, scratch / "first", python)
    rows = [row for row in rows if row.name in made]
    variants: dict[str, list[Variant]] = {row.name: [] for row in rows}
    open_keys = {row.name: sorted(numbers_of(row)) for row in rows}
    for attempt in ATTEMPTS:
        tries = {
            f"{row.name}-{attempt.__name__}-{number}-{place}": (row.name, key, over)
            for row in rows
            for number, key in enumerate(open_keys[row.name])
            for place, over in enumerate(attempt(key, numbers_of(row)))
        }
        by_name = {row.name: row for row in rows}
        changed = {
            job: replace(by_name[name], name=job, config=put(by_name[name], over))
            for job, (name, _, over) in tries.items()
        }
        builds = written_rows(changed, scratch / attempt.__name__, python)
        for job, build in builds.items():
            name, key, over = tries[job]
            if key in open_keys[name]:
                open_keys[name].remove(key)
                variants[name].append(Variant(over, build))
    studies = [study_of(row, made[row.name], variants[row.name], scratch) for row in rows]
    write_layers(studies, python)
    return studies


def written_rows(rows: Mapping[str, Mirrored], folder: Path, python: Path) -> dict[str, Build]:
    """Write checkpoints as vLLM builds them; return the names, shapes and numbers of those that it builds."""
    build_mirrored(rows.values(), folder, python=python)
    return {
        name: replace(read_build(folder / name), numbers=every_number(row.config))
        for name, row in rows.items()
        if any((folder / name).glob("*.safetensors"))
    }


def study_of(row: Mirrored, first: Build, variants: list[Variant], scratch: Path) -> Study:
    """Take what is the text model's away, and find the lists of layers."""
    config = parse_config(json.dumps({**row.config, "architectures": [row.architecture]}).encode())
    first, variants = apart(first, config), [Variant(one.over, apart(one.build, config)) for one in variants]
    lists = {stack: key for stack, key in counts_of(first, variants).items() if "." in key}
    folders = [scratch / "layers" / f"{row.name}{step:+d}" for step in (1, -1)]
    return Study(
        row=row,
        folder=scratch / "first" / row.name,
        first=first,
        variants=variants,
        lists=lists,
        longer=folders[0],
        shorter=folders[1],
    )


def write_layers(studies: Sequence[Study], python: Path) -> None:
    """Write each wrapper with a layer more and one less in all of its lists than its config counts."""
    changed = {
        folder: replace(
            one.row,
            name=folder.name,
            config=put(one.row, {key: one.first.numbers[key] + step for key in one.lists.values()}),
        )
        for one in studies
        for folder, step in ((one.longer, 1), (one.shorter, -1))
        if one.lists
    }
    for root in {folder.parent for folder in changed}:
        build_mirrored(changed.values(), root, python=python)
    for one in studies:
        for folder in (one.longer, one.shorter):
            if any(folder.glob("*.safetensors")):
                edit_config(folder, partial(_restate, row=one.row))


def _restate(config: Json, *, row: Mirrored) -> None:
    config.update(put(row, {}))


def apart(build: Build, config: ModelConfig) -> Build:
    """Return a build without the tensors that vLLM keeps in the text model."""
    rest = {name: shape for name, shape in build.shapes.items() if not is_of_text(name, config)}
    return replace(build, shapes=rest)


def is_of_text(tensor: str, config: ModelConfig) -> bool:
    """Tell a tensor of the text model or its head by its place in vLLM's model."""
    names, support = names_of(config) or EngineNames(), head_support(config.architecture)
    place = names.module(tensor.removesuffix(".weight")) or tensor
    return support is not None and (place.startswith(support.before) or "lm_head" in place)


def loaded(studies: Sequence[Study], python: Path) -> dict[Path, Observation]:
    """Ask vLLM about each wrapper as it is, and with layers too many and too few."""
    folders = [
        folder
        for one in studies
        for folder in (one.folder, one.longer, one.shorter)
        if any(folder.glob("*.safetensors"))
    ]
    return dict(zip(folders, observed(folders, python), strict=True))


def facts_of(study: Study, seen: Mapping[Path, Observation]) -> Json:
    """Return the tensors beside the text model with their sizes, the lists of layers, and the types of towers."""
    usual, first = seen[study.folder], study.first
    if not serves(usual, usual):
        print(f"{study.row.name}: {truth_of(usual)}", flush=True)
        return {}
    longer, shorter = seen.get(study.longer), seen.get(study.shorter)
    refuses = longer is not None and truth_of(longer, usual)[0] is Truth.REFUSED
    misses = shorter is not None and not truth_of(shorter, usual)[0].is_good
    unread, fixed = (
        set(map(template, usual.unused)),
        numbered(first, [one.build for one in study.variants], study.lists),
    )
    untested = {
        size for key, size in numbers_of(study.row).items() if not any(key in one.over for one in study.variants)
    }
    builds = [first, *(one.build for one in study.variants)]
    marked = [Variant(one.over, marked_apart(one.build, fixed)) for one in study.variants]
    tensors: Json = {
        key: [key not in unread and all(key in set(map(template, build.shapes)) for build in builds), []]
        for key in sorted(set(map(template, first.shapes)))
    }
    first, sizes = marked_apart(first, fixed), {}
    for key in sorted(set(map(template, first.shapes))):
        terms = [fit((key, axis), first, marked, untested - {1}) for axis in range(rank(first, key))]
        dimensions = [written(one) if one is not None else None for one in terms]
        if MARK in key:
            sizes[key.replace(MARK, "")] = dimensions
        else:
            tensors[key][1] = dimensions
    types = {
        path: level[TYPE] for path, level in levels_of(study.row.config) if TYPE in level and path in _towers(study)
    }
    return {
        "towers": {
            "tensors": tensors,
            "lists": {stack: [key, refuses, misses] for stack, key in study.lists.items()},
            "numbered": {key: numbers for key, numbers in fixed.items() if "#" in key},
            "sizes": sizes,
            "types": types,
        }
    }


def _towers(study: Study) -> set[str]:
    """Return the levels of the config beside the text model's."""
    texts = {path for path, _ in parse_config(json.dumps(study.row.config).encode()).text_levels}
    return {path for path, _ in levels_of(study.row.config) if path not in texts}


def joined(found: Sequence[Json]) -> Json:
    """Join what several checkpoints of one architecture with the same towers showed: what all have, and sizes that they share."""
    if not found:
        return {}
    first, *others = (one["towers"] for one in found)
    for other in [one for one in others if one["types"] == first["types"]]:
        for key, (always, sizes) in other["tensors"].items():
            mine = first["tensors"].setdefault(key, [False, sizes])
            agreed = len(mine[1]) == len(sizes)
            mine[1] = [one if one == two else None for one, two in zip(mine[1], sizes, strict=True)] if agreed else []
            mine[0] = mine[0] and always
        for key in first["tensors"].keys() - other["tensors"].keys():
            first["tensors"][key][0] = False
        for table in ("lists", "numbered", "sizes"):
            first[table] = {key: one for key, one in first[table].items() if other[table].get(key) == one}
    return {"towers": first}


if __name__ == "__main__":
    main()
