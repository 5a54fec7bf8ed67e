"""Learn which tensors vLLM refuses in the layers of a wrapper's towers: unknown modules, biases, projections fused or apart.

    python -m benchmarks.learn.tower_strangers --vllm-python ENV/bin/python --work DIR

Each family of `tower_values.py` gets tensors that its towers' lists of layers do not have, a kind at a time: a module of no
architecture, a bias beside each weight that has none, queries, keys and values in one where they are apart, and apart where they
are one. What the real vLLM refuses goes into `ctq/engines/data/tower_strangers.json`. DIR keeps the healthy checkpoints.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from dense_builder import INDEX, write_index
from families import EVERY
from safetensors.torch import load_file, save_file
from sweep_truth import serves

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import template
from benchmarks.loads import observed
from benchmarks.tower_values import base_of, wrappers
from ctq.engines.skeletons.find import skeleton_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Tensors = dict[str, torch.Tensor]
Found = dict[str, dict[str, tuple[list[str], list[str]]]]
"""By architecture and list of layers, what vLLM refuses and what it takes."""
DATA: Final = ENGINE_DATA / "tower_strangers.json"
SKELETONS: Final = ENGINE_DATA / "skeletons.json"
STRANGER: Final = "wonder"
APART: Final = (("q_proj", "k_proj", "v_proj"), ("query", "key", "value"), ("gate_proj", "up_proj"))
AS_ONE: Final = {3: ("qkv", "qkv_proj"), 2: ("gate_up_proj",)}
SPLIT: Final = (APART[0], ("q", "k", "v"))
OUTPUTS: Final = ("proj", "o_proj", "out_proj")
"""What takes as many columns as queries have rows."""
FUSED: Final = ("qkv", "qkv_proj")


def main() -> None:
    options = script(__doc__, "vllm_python", "work").parse_args()
    known = json.loads(SKELETONS.read_text())["architectures"]
    found: Found = defaultdict(dict)
    cases: list[tuple[str, str, tuple[str, ...], Path]] = []
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        for name, family in wrappers().items():
            lists = skeleton_named(family.architecture).towers.lists if family.architecture in known else {}
            base = base_of(name, options.work) if lists else None
            if base is None:
                continue
            cases.append((name, "", (), base))
            for stack in lists:
                for number, (suffixes, tensors) in enumerate(strangers(tensors_of(base), stack)):
                    cases.append(
                        (name, stack, suffixes, stored(base, Path(scratch) / f"{name}{stack}{number}", tensors))
                    )
        seen = observed([folder for *_, folder in cases], options.vllm_python)
    usual = {name: one for (name, stack, *_), one in zip(cases, seen, strict=True) if not stack}
    for (name, stack, suffixes, _), one in zip(cases, seen, strict=True):
        if stack and serves(usual[name], usual[name]):
            refuses = not serves(one, usual[name])
            print(name, stack, suffixes, refuses, flush=True)
            refused, taken = found[EVERY[name].architecture].setdefault(stack, ([], []))
            (refused if refuses else taken).extend(suffixes)
    write(found)


def tensors_of(folder: Path) -> Tensors:
    """Return the tensors of a checkpoint."""
    return {name: tensor for path in folder.glob("*.safetensors") for name, tensor in load_file(path).items()}


def stored(base: Path, folder: Path, tensors: Tensors) -> Path:
    """Write a checkpoint with other tensors."""
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("*.safetensors*"))
    save_file(
        {name: tensor.clone().contiguous() for name, tensor in tensors.items()},
        folder / "model.safetensors",
        {"format": "pt"},
    )
    if (base / INDEX).exists():
        write_index(folder)
    return folder


def strangers(tensors: Tensors, stack: str) -> Iterator[tuple[tuple[str, ...], Tensors]]:
    """Yield what stands behind the number of a layer in the strangers' names, with all tensors."""
    inside = sorted(name for name in tensors if name.startswith(f"{stack}.0."))
    modules = {name.removesuffix(".weight") for name in inside if name.endswith(".weight") and tensors[name].dim() > 1}
    parents = sorted({module.rpartition(".")[0] for module in modules})
    for parent in dict.fromkeys([f"{stack}.0", *parents[:1]]):
        name = f"{parent}.{STRANGER}.weight"
        yield (suffix_of(name, stack),), {**tensors, name: torch.zeros(8, 8, dtype=torch.bfloat16)}
    for module in sorted(modules):
        if f"{module}.bias" not in tensors:
            yield (
                (suffix_of(f"{module}.bias", stack),),
                {**tensors, f"{module}.bias": tensors[f"{module}.weight"][:, 0].flatten()},
            )
    for parent in parents:
        yield from regrouped(tensors, parent, stack)


def regrouped(tensors: Tensors, parent: str, stack: str) -> Iterator[tuple[tuple[str, ...], Tensors]]:
    """Yield the projections of one module as one, where they are apart, and apart where they are one."""
    for leaves in APART:
        if all(f"{parent}.{leaf}.weight" in tensors for leaf in leaves):
            for leaf in AS_ONE[len(leaves)]:
                yield (suffix_of(f"{parent}.{leaf}.weight", stack),), replaced(tensors, parent, leaves, (leaf,))
    for leaf in FUSED:
        if f"{parent}.{leaf}.weight" in tensors:
            for parts in SPLIT:
                new = replaced(tensors, parent, (leaf,), parts)
                yield tuple(suffix_of(f"{parent}.{one}.weight", stack) for one in parts), new


def replaced(tensors: Tensors, parent: str, old: tuple[str, ...], new: tuple[str, ...]) -> Tensors:
    """Return the tensors with some modules in all layers made into others."""
    made = dict(tensors)
    for name in tensors:
        module, _, part = name.rpartition(".")
        place, _, leaf = module.rpartition(".")
        if leaf == old[0] and template(place) == template(parent):
            if not all(f"{place}.{one}.{part}" in tensors for one in old):
                continue  # keys without a bias, beside queries with one
            whole = torch.cat([made.pop(f"{place}.{one}.{part}") for one in old])
            for one, share in zip(new, shares(whole, len(new), tensors, place), strict=True):
                made[f"{place}.{one}.{part}"] = share.clone()
    return made


def shares(whole: torch.Tensor, count: int, tensors: Tensors, place: str) -> tuple[torch.Tensor, ...]:
    """Cut rows into equal parts, or into queries and as many keys as values, which may be fewer."""
    outputs = [tensors[name] for leaf in OUTPUTS if (name := f"{place}.{leaf}.weight") in tensors]
    if count != len(APART[0]) or not outputs:
        return torch.chunk(whole, count)
    queries = outputs[0].shape[1]
    rest = (len(whole) - queries) // 2
    return torch.split(whole, [queries, rest, rest])


def suffix_of(name: str, stack: str) -> str:
    """Return what stands behind the number of the layer, by template."""
    return template(re.sub(rf"^{re.escape(stack)}\.\d+\.", "", name))


def write(found: Mapping[str, Mapping[str, tuple[list[str], list[str]]]]) -> None:
    """Write the data, an architecture a line."""
    about = (
        "Tensors in the layers of towers that no build of transformers has, and what vLLM 0.32.0 makes of them: made by "
        "benchmarks/learn/tower_strangers.py. By architecture and list of layers, what is refused and what is taken, by what "
        f"stands behind the number of a layer; `{STRANGER}` is any module that the layers do not have."
    )
    write_tables(DATA, about, architectures=found)


if __name__ == "__main__":
    main()
