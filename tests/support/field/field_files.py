"""Files: shards, what else lies in the folder, other names."""

from __future__ import annotations

from pathlib import Path
from random import Random

from dense_builder import INDEX
from field_folder import beside, later, sharded
from field_kind import add, kind
from field_model import Model, made, pick
from raw_safetensors import edit_header


@kind
def in_three_shards(m: Model, d: Random) -> None:
    sharded(m)


@kind
def shards_called_otherwise(m: Model, d: Random) -> None:
    files = sharded(m)
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
    sharded(m)
    head = m.head()
    for name in m.tensors:
        if name.startswith(head + "."):
            m.places[name] = "lm_head.safetensors"


@kind
def a_shard_missing(m: Model, d: Random) -> None:
    files = sharded(m)
    file = pick(d, files)
    later(m, lambda folder: (folder / file).unlink())


@kind
def a_shard_missing_and_no_index(m: Model, d: Random) -> None:
    files = sharded(m)
    file = pick(d, files)
    later(m, lambda folder: ((folder / file).unlink(), (folder / INDEX).unlink()))


@kind
def a_shard_cut_off(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        path = pick(d, sorted(folder.glob("*.safetensors")))
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - pick(d, (1, 1000, len(data) // 2))])

    later(m, act)


@kind
def a_shard_with_bytes_after_its_end(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        path = pick(d, sorted(folder.glob("*.safetensors")))
        path.write_bytes(path.read_bytes() + bytes(64))

    later(m, act)


@kind
def an_empty_shard(m: Model, d: Random) -> None:
    beside(m, "model-00009-of-00009.safetensors", pick(d, ({}, b"")))


@kind
def a_pointer_of_git_lfs(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        path = pick(d, sorted(folder.glob("*.safetensors")))
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 1234\n")

    later(m, act)


@kind
def no_metadata_in_files(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        for path in folder.glob("*.safetensors"):
            edit_header(path, lambda header: header.pop("__metadata__"))

    later(m, act)


@kind
def metadata_of_another_framework(m: Model, d: Random) -> None:
    word = pick(d, ("tf", "flax", "mlx", "np"))

    def act(folder: Path) -> None:
        for path in folder.glob("*.safetensors"):
            edit_header(path, lambda header: header.__setitem__("__metadata__", {"format": word}))

    later(m, act)


@kind
def weights_in_a_subfolder(m: Model, d: Random) -> None:
    def act(folder: Path) -> None:
        (folder / "weights").mkdir()
        for path in sorted(folder.glob("*.safetensors")):
            path.rename(folder / "weights" / path.name)

    later(m, act)


@kind
def a_subfolder_of_the_original(m: Model, d: Random) -> None:
    beside(
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

    later(m, act)


for _name in (
    "pytorch_model.bin", "pytorch_model.bin.index.json", "model.gguf", "optimizer.pt", "training_args.bin", "consolidated.00.pth", "tf_model.h5",
    "model.onnx", "params.json", "adapter_config.json", "README.md", "tekken.json", "trainer_state.json", "model.safetensors.lock",
    "preprocessor_config.json", "modules.json",
):  # fmt: skip
    add(f"{_name} beside", lambda m, d, n=_name: beside(m, n, b"{}"))


@kind
def everything_in_a_consolidated_file(m: Model, d: Random) -> None:
    m.places = dict.fromkeys(m.tensors, "consolidated.safetensors")
    later(m, lambda folder: (folder / INDEX).unlink(missing_ok=True))


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
        later(m, lambda folder: (folder / INDEX).unlink(missing_ok=True))


@kind
def generation_config_broken(m: Model, d: Random) -> None:
    beside(
        m, "generation_config.json", pick(d, (b"", b"{", b"[]", b'{"temperature": "hot"}', b'{"eos_token_id": [1, 2]}'))
    )


@kind
def config_missing(m: Model, d: Random) -> None:
    later(m, lambda folder: (folder / "config.json").unlink())
