"""Shards, indices and what else lies in a folder after merges, uploads and half-finished copies."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from dense_builder import INDEX, SINGLE, edit_index
from field_kind import add, kind
from field_model import LAYER, Json, Model, Skip, cast, made, pick
from raw_safetensors import edit_header, read_safetensors, write_safetensors


def _later(m: Model, change: Callable[[Path], object]) -> None:
    m.after.append(change)


def _sharded(m: Model, count: int = 3) -> list[str]:
    """Spread the tensors over several files, as they come."""
    names = list(m.tensors)
    files = [f"model-{number + 1:05d}-of-{count:05d}.safetensors" for number in range(count)]
    m.places = {name: files[number * count // len(names)] for number, name in enumerate(names)}
    return files


def _index(m: Model, d: Random, change: Callable[[Json], object]) -> None:
    _sharded(m)
    _later(m, lambda folder: edit_index(folder, lambda index: change(index["weight_map"])))


def _beside(m: Model, name: str, content: bytes | dict[str, Any]) -> None:
    def act(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            write_safetensors(path, content, metadata={"format": "pt"})

    _later(m, act)


@kind
def in_three_shards(m: Model, d: Random) -> None:
    _sharded(m)


@kind
def shards_called_otherwise(m: Model, d: Random) -> None:
    files = _sharded(m)
    form = pick(
        d,
        (
            "model.safetensors-{:05d}-of-00003.safetensors",
            "pytorch_model-{:05d}.safetensors",
            "layers-{}.safetensors",
            "part{}.safetensors",
        ),
    )
    new = {file: form.format(number) for number, file in enumerate(files)}
    m.places = {name: new[file] for name, file in m.places.items()}


@kind
def head_in_a_file_of_its_own(m: Model, d: Random) -> None:
    _sharded(m)
    head = m.head()
    for name in m.tensors:
        if name.startswith(head + "."):
            m.places[name] = "lm_head.safetensors"


@kind
def index_with_a_tensor_that_is_nowhere(m: Model, d: Random) -> None:
    _index(
        m,
        d,
        lambda found: found.__setitem__(
            pick(d, ("lm_head.bias", "model.rotary_emb.inv_freq", "model.layers.9.x.weight")),
            next(iter(found.values())),
        ),
    )


@kind
def index_with_a_file_that_is_nowhere(m: Model, d: Random) -> None:
    _index(m, d, lambda found: found.__setitem__("model.extra.weight", "model-00004-of-00004.safetensors"))


@kind
def index_without_a_tensor(m: Model, d: Random) -> None:
    _index(m, d, lambda found: found.pop(pick(d, sorted(found))))


@kind
def index_without_a_whole_file(m: Model, d: Random) -> None:
    def change(found: Json) -> None:
        file = pick(d, sorted(set(found.values())))
        for name in [name for name, one in found.items() if one == file]:
            del found[name]

    _index(m, d, change)


@kind
def index_with_the_wrong_file(m: Model, d: Random) -> None:
    def change(found: Json) -> None:
        name = pick(d, sorted(found))
        found[name] = pick(d, sorted(set(found.values()) - {found[name]}))

    _index(m, d, change)


@kind
def index_of_the_dense_original(m: Model, d: Random) -> None:
    _sharded(m)
    modules = {f"{module}.weight" for module in m.quantized()}

    def change(index: Json) -> None:
        kept = {
            name: file
            for name, file in index["weight_map"].items()
            if not name.endswith(("_scale", "_packed", "_shape"))
        }
        index["weight_map"] = kept | {name: pick(d, sorted(set(kept.values()))) for name in sorted(modules)}

    _later(m, lambda folder: edit_index(folder, change))


@kind
def index_missing(m: Model, d: Random) -> None:
    _sharded(m)
    _later(m, lambda folder: (folder / INDEX).unlink())


@kind
def index_with_wrong_size(m: Model, d: Random) -> None:
    _sharded(m)
    value = pick(d, (0, 123, None, "many"))
    _later(m, lambda folder: edit_index(folder, lambda index: index.__setitem__("metadata", {"total_size": value})))


@kind
def index_without_metadata(m: Model, d: Random) -> None:
    _sharded(m)
    _later(m, lambda folder: edit_index(folder, lambda index: index.pop("metadata")))


@kind
def index_with_paths(m: Model, d: Random) -> None:
    prefix = pick(d, ("./", "/data/out/", "weights/"))
    _index(m, d, lambda found: found.update({name: prefix + file for name, file in found.items()}))


@kind
def index_left_beside_one_file(m: Model, d: Random) -> None:
    for name in m.tensors:
        m.places[name] = SINGLE
    old = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(m.tensors)}
    _later(m, lambda folder: (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": old})))


@kind
def index_true_beside_one_file(m: Model, d: Random) -> None:
    for name in m.tensors:
        m.places[name] = SINGLE
    true = dict.fromkeys(m.tensors, SINGLE)
    _later(m, lambda folder: (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": true})))


@kind
def index_not_json(m: Model, d: Random) -> None:
    _sharded(m)
    _later(m, lambda folder: (folder / INDEX).write_text(pick(d, ("", "{", "null", "[]"))))


@kind
def a_shard_missing(m: Model, d: Random) -> None:
    files = _sharded(m)
    file = pick(d, files)
    _later(m, lambda folder: (folder / file).unlink())


@kind
def a_shard_missing_and_no_index(m: Model, d: Random) -> None:
    files = _sharded(m)
    file = pick(d, files)
    _later(m, lambda folder: ((folder / file).unlink(), (folder / INDEX).unlink()))


@kind
def a_shard_twice(m: Model, d: Random) -> None:
    files = _sharded(m)
    name = pick(
        d, ("model-00003-of-00003 (1).safetensors", "model-copy.safetensors", "model-00004-of-00004.safetensors")
    )
    _later(m, lambda folder: shutil.copy(folder / files[-1], folder / name))
    if d.random() < 0.5:
        _later(m, lambda folder: (folder / INDEX).unlink())


@kind
def a_shard_of_the_old_run_with_the_same_tensors(m: Model, d: Random) -> None:
    _sharded(m)
    name = pick(d, [name for name, raw in m.tensors.items() if raw.dtype == "BF16" and LAYER.match(name)])
    old = {name: cast(m.tensors[name], "F32")}
    _beside(m, pick(d, ("model-00001-of-00002.safetensors", "old.safetensors", "zz.safetensors")), old)
    if d.random() < 0.6:
        _later(m, lambda folder: (folder / INDEX).unlink())


@kind
def dense_weights_left_in_another_shard(m: Model, d: Random) -> None:
    _sharded(m)
    modules = m.quantized()
    old = {f"{module}.weight": made("BF16", (128, 128)) for module in modules[:3]}
    _beside(m, pick(d, ("model-00001-of-00002.safetensors", "dense.safetensors")), old)
    if d.random() < 0.6:
        _later(m, lambda folder: (folder / INDEX).unlink())


@kind
def one_file_of_the_original_beside_shards(m: Model, d: Random) -> None:
    _sharded(m)
    _beside(m, SINGLE, {name: made("BF16", (8, 8)) for name in list(m.tensors)[:3]})
    if d.random() < 0.5:
        _later(m, lambda folder: (folder / INDEX).unlink())


@kind
def a_shard_cut_off(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        path = pick(d, sorted(folder.glob("*.safetensors")))
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - pick(d, (1, 1000, len(data) // 2))])

    _later(m, act)


@kind
def a_shard_with_bytes_after_its_end(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        path = pick(d, sorted(folder.glob("*.safetensors")))
        path.write_bytes(path.read_bytes() + bytes(64))

    _later(m, act)


@kind
def an_empty_shard(m: Model, d: Random) -> None:
    _beside(m, "model-00009-of-00009.safetensors", pick(d, ({}, b"")))


@kind
def a_pointer_of_git_lfs(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        path = pick(d, sorted(folder.glob("*.safetensors")))
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 1234\n")

    _later(m, act)


@kind
def no_metadata_in_files(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        for path in folder.glob("*.safetensors"):
            edit_header(path, lambda header: header.pop("__metadata__"))

    _later(m, act)


@kind
def metadata_of_another_framework(m: Model, d: Random) -> None:
    word = pick(d, ("tf", "flax", "mlx", "np"))

    def act(folder: Path) -> None:
        for path in folder.glob("*.safetensors"):
            edit_header(path, lambda header: header.__setitem__("__metadata__", {"format": word}))

    _later(m, act)


@kind
def weights_in_a_subfolder(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        (folder / "weights").mkdir()
        for path in sorted(folder.glob("*.safetensors")):
            path.rename(folder / "weights" / path.name)

    _later(m, act)


@kind
def a_subfolder_of_the_original(m: Model, d: Random) -> None:
    _beside(
        m,
        pick(
            d,
            (
                "original/model.safetensors",
                "checkpoint-100/model.safetensors",
                ".cache/x.safetensors",
                "onnx/model.safetensors",
            ),
        ),
        {"a": made("BF16", (2,))},
    )


@kind
def only_a_bin_file(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        for path in folder.glob("*.safetensors*"):
            path.unlink()
        (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04")

    _later(m, act)


for _name in (
    "pytorch_model.bin", "pytorch_model.bin.index.json", "model.gguf", "optimizer.pt", "training_args.bin", "consolidated.00.pth", "tf_model.h5",
    "model.onnx", "params.json", "adapter_config.json", "README.md", "tekken.json", "trainer_state.json", "model.safetensors.lock",
    "preprocessor_config.json", "modules.json",
):  # fmt: skip
    add(f"{_name} beside", lambda m, d, n=_name: _beside(m, n, b"{}"))
for _name in (
    "adapter_model.safetensors", "consolidated.safetensors", "model.fp16.safetensors", "consolidated-00001-of-00002.safetensors",
    "mtp.safetensors", "eagle.safetensors", "visual.safetensors", "optimizer.safetensors", "random_states.safetensors",
):  # fmt: skip
    add(
        f"{_name} with tensors of its own",
        lambda m, d, n=_name: _beside(m, n, {"base_model.model.x.lora_A.weight": made("BF16", (8, 8))}),
    )

    def _copies(m: Model, d: Random, n: str = _name) -> None:
        chosen = dict(list(m.tensors.items())[:4])
        _beside(
            m,
            n,
            {
                name: cast(raw, "F32") if raw.dtype == "BF16" and d.random() < 0.5 else raw
                for name, raw in chosen.items()
            },
        )

    add(f"{_name} with some of the tensors again", _copies)


@kind
def everything_in_a_consolidated_file(m: Model, d: Random) -> None:
    m.places = dict.fromkeys(m.tensors, "consolidated.safetensors")
    _later(m, lambda folder: (folder / INDEX).unlink(missing_ok=True))


@kind
def one_file_called_otherwise(m: Model, d: Random) -> None:
    name = pick(
        d,
        (
            "weights.safetensors",
            "pytorch_model.safetensors",
            "model-00001-of-00001.safetensors",
            "model.SAFETENSORS",
            "quantized.safetensors",
        ),
    )
    m.places = dict.fromkeys(m.tensors, name)
    if d.random() < 0.7:
        _later(m, lambda folder: (folder / INDEX).unlink(missing_ok=True))


@kind
def a_tensor_twice_in_two_files(m: Model, d: Random) -> None:
    files = _sharded(m)
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

    _later(m, act)


@kind
def a_tensor_beside_with_the_name_of_another_case(m: Model, d: Random) -> None:
    name = pick(d, [name for name in m.tensors if LAYER.match(name)])
    if name.upper() == name:
        raise Skip
    m.put(name.upper(), m.tensors[name])


@kind
def generation_config_broken(m: Model, d: Random) -> None:
    _beside(
        m, "generation_config.json", pick(d, (b"", b"{", b"[]", b'{"temperature": "hot"}', b'{"eos_token_id": [1, 2]}'))
    )


@kind
def config_missing(m: Model, d: Random) -> None:
    _later(m, lambda folder: (folder / "config.json").unlink())
