"""The same tensors in two files."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from dense_builder import INDEX, SINGLE
from field_folder import beside, later, sharded
from field_kind import add, kind
from field_model import LAYER, Model, Skip, cast, made, pick
from raw_safetensors import read_safetensors, write_safetensors


@kind
def a_shard_twice(m: Model, d: Random) -> None:
    files = sharded(m)
    name = pick(
        d, ("model-00003-of-00003 (1).safetensors", "model-copy.safetensors", "model-00004-of-00004.safetensors")
    )
    later(m, lambda folder: shutil.copy(folder / files[-1], folder / name))
    if d.random() < 0.5:
        later(m, lambda folder: (folder / INDEX).unlink())


@kind
def a_shard_of_the_old_run_with_the_same_tensors(m: Model, d: Random) -> None:
    sharded(m)
    name = pick(d, [name for name, raw in m.tensors.items() if raw.dtype == "BF16" and LAYER.match(name)])
    old = {name: cast(m.tensors[name], "F32")}
    beside(m, pick(d, ("model-00001-of-00002.safetensors", "old.safetensors", "zz.safetensors")), old)
    if d.random() < 0.6:
        later(m, lambda folder: (folder / INDEX).unlink())


@kind
def dense_weights_left_in_another_shard(m: Model, d: Random) -> None:
    sharded(m)
    modules = m.quantized()
    old = {f"{module}.weight": made("BF16", (128, 128)) for module in modules[:3]}
    beside(m, pick(d, ("model-00001-of-00002.safetensors", "dense.safetensors")), old)
    if d.random() < 0.6:
        later(m, lambda folder: (folder / INDEX).unlink())


@kind
def one_file_of_the_original_beside_shards(m: Model, d: Random) -> None:
    sharded(m)
    beside(m, SINGLE, {name: made("BF16", (8, 8)) for name in list(m.tensors)[:3]})
    if d.random() < 0.5:
        later(m, lambda folder: (folder / INDEX).unlink())


for _name in (
    "adapter_model.safetensors", "consolidated.safetensors", "model.fp16.safetensors", "consolidated-00001-of-00002.safetensors",
    "mtp.safetensors", "eagle.safetensors", "visual.safetensors", "optimizer.safetensors", "random_states.safetensors",
):  # fmt: skip
    add(
        f"{_name} with tensors of its own",
        lambda m, d, n=_name: beside(m, n, {"base_model.model.x.lora_A.weight": made("BF16", (8, 8))}),
    )

    def _copies(m: Model, d: Random, n: str = _name) -> None:
        chosen = dict(list(m.tensors.items())[:4])
        beside(
            m,
            n,
            {
                name: cast(raw, "F32") if raw.dtype == "BF16" and d.random() < 0.5 else raw
                for name, raw in chosen.items()
            },
        )

    add(f"{_name} with some of the tensors again", _copies)


@kind
def a_tensor_twice_in_two_files(m: Model, d: Random) -> None:
    files = sharded(m)
    name = pick(d, [name for name, raw in m.tensors.items() if m.places[name] != files[-1]])
    other = pick(d, ("same", "F32", "half"))

    def act(folder: Path) -> None:
        part = read_safetensors(folder / files[-1])
        raw = m.tensors[name]
        if other == "F32" and raw.dtype == "BF16":
            raw = cast(raw, "F32")
        elif other == "half":
            raw = made(raw.dtype, tuple(max(size // 2, 1) for size in raw.shape))
        write_safetensors(folder / files[-1], {**part, name: raw}, metadata={"format": "pt"})

    later(m, act)


@kind
def a_tensor_beside_with_the_name_of_another_case(m: Model, d: Random) -> None:
    name = pick(d, [name for name in m.tensors if LAYER.match(name)])
    if name.upper() == name:
        raise Skip
    m.put(name.upper(), m.tensors[name])
