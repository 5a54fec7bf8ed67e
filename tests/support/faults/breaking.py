"""Small changes to a checkpoint on disk, each a function of the folder, to be put together in tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from builders import drop_tensor, edit_config, edit_index, edit_tensors
from raw_safetensors import Raw, edit_header, from_floats, read_file, write_file

Change: TypeAlias = Callable[[Path], object]
Make: TypeAlias = Callable[[Mapping[str, Raw]], Raw]


def steps(*changes: Change) -> Change:
    """Do several changes."""
    return lambda folder: [change(folder) for change in changes]


def config(**values: Any) -> Change:
    """Set top-level keys of ``config.json``."""
    return lambda folder: edit_config(folder, lambda raw: raw.update(values))


def without_config(*keys: str) -> Change:
    """Remove top-level keys of ``config.json``."""
    return lambda folder: edit_config(folder, lambda raw: [raw.pop(key) for key in keys])


def quantization(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the quantization config in place."""
    return lambda folder: edit_config(folder, lambda raw: change(raw["quantization_config"]))


def says(**values: Any) -> Change:
    """Set keys of the quantization config."""
    return quantization(lambda raw: raw.update(values))


def groups(**values: Any) -> Change:
    """Set keys of every config group."""
    return quantization(lambda raw: [group.update(values) for group in raw["config_groups"].values()])


def weights(**values: Any) -> Change:
    """Set keys of every group's weights."""
    return quantization(lambda raw: [group["weights"].update(values) for group in raw["config_groups"].values()])


def activations(**values: Any) -> Change:
    """Set keys of every group's activations."""
    return quantization(
        lambda raw: [group["input_activations"].update(values) for group in raw["config_groups"].values()]
    )


def static_outputs(folder: Path) -> None:
    """Declare outputs quantized as the inputs are."""
    quantization(
        lambda raw: [
            group.update(output_activations=dict(group["input_activations"])) for group in raw["config_groups"].values()
        ]
    )(folder)


def add_group(name: str, like: str | None = None, **values: Any) -> Change:
    """Add a config group, a copy of another one with some keys set."""

    def change(raw: dict[str, Any]) -> None:
        source = raw["config_groups"][like] if like else {}
        raw["config_groups"][name] = {**source, **values}

    return quantization(change)


def targets(*patterns: str) -> Change:
    """Make one group of all, with the body's scheme and these targets."""

    def change(raw: dict[str, Any]) -> None:
        body = list(raw["config_groups"].values())[-1]
        raw["config_groups"] = {"group_0": body | {"targets": list(patterns)}}

    return quantization(change)


def ignore(*patterns: str) -> Change:
    """Set the ignore list."""
    return says(ignore=list(patterns))


def format_everywhere(name: str | None) -> Change:
    """Set the format of the config and of every group."""
    return steps(says(format=name), groups(format=name))


def drop(*names: str) -> Change:
    """Remove tensors."""
    return lambda folder: [drop_tensor(folder, name) for name in names]


def drop_where(words: str) -> Change:
    """Remove all tensors with these words in their names."""
    return lambda folder: edit_tensors(
        folder, lambda tensors: [tensors.pop(name) for name in list(tensors) if words in name]
    )


def put(name: str, make: Make) -> Change:
    """Add or replace one tensor."""
    return lambda folder: edit_tensors(folder, lambda tensors: tensors.__setitem__(name, make(tensors)))


def floats(*shape: int, value: float = 0.01) -> Make:
    """Make a BF16 tensor of one value."""
    return lambda _: from_floats(np.full(shape, value, np.float32), "BF16")


def codes(dtype: str, *shape: int) -> Make:
    """Make a tensor of integers."""
    size = {"I8": 1, "U8": 1, "I32": 4, "I64": 8}[dtype]
    return lambda _: Raw(dtype, shape, b"\x01" * (int(np.prod(shape)) * size))


def one_scale(tensor: str, value: float) -> Change:
    """Set one value of a scale."""

    def make(tensors: Mapping[str, Raw]) -> Raw:
        scales = tensors[tensor].floats.copy()
        scales.reshape(-1)[3] = value
        return from_floats(scales, "BF16")

    return put(tensor, make)


def zeros(tensor: str) -> Change:
    """Leave a tensor as a file that was laid out and never filled has it."""
    return put(
        tensor, lambda tensors: Raw(tensors[tensor].dtype, tensors[tensor].shape, bytes(len(tensors[tensor].data)))
    )


def int8(module: str, rows: int, columns: int = 128) -> Change:
    """Add or replace a module by a per-channel int8 one."""
    return steps(put(f"{module}.weight", codes("I8", rows, columns)), put(f"{module}.weight_scale", floats(rows, 1)))


def dense(module: str, rows: int, columns: int = 128) -> Change:
    """Put a float weight in the place of a quantized one."""

    def change(tensors: dict[str, Raw]) -> None:
        for part in ("weight", "weight_packed", "weight_scale", "weight_shape", "weight_zero_point"):
            tensors.pop(f"{module}.{part}", None)
        tensors[f"{module}.weight"] = floats(rows, columns)(tensors)

    return lambda folder: edit_tensors(folder, change)


def regroup(size: int, **values: Any) -> Change:
    """Give every quantized module scales for groups of ``size`` columns, in the config too."""

    def change(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.endswith("weight_scale")]:
            module = name.removesuffix(".weight_scale")
            packed = tensors.get(f"{module}.weight_packed")
            rows, columns = (
                tensors[f"{module}.weight"].shape if packed is None else (packed.shape[0], packed.shape[1] * 4)
            )
            tensors[name] = floats(rows, -(-columns // size))(tensors)

    return steps(weights(group_size=size, **values), lambda folder: edit_tensors(folder, change))


def fused_experts(tensors: dict[str, Raw]) -> None:
    """Add the experts of each layer in one packed tensor."""
    for layer in range(2):
        path = f"model.layers.{layer}.mlp.experts.gate_up_proj"
        tensors[f"{path}_packed"] = codes("I32", 4, 256, 32)(tensors)
        tensors[f"{path}_scale"] = floats(4, 256, 1)(tensors)


def experts(*, without: tuple[int, int]) -> Change:
    """Add four int8 experts to each of two layers, but for the up projection of one (layer, expert)."""
    everyone = [(layer, expert) for layer in range(2) for expert in range(4)]
    return steps(
        *(
            int8(f"model.layers.{layer}.mlp.experts.{expert}.{part}", 64)
            for layer, expert in everyone
            for part in ("gate_proj", "up_proj")
            if (layer, expert) != without or part != "up_proj"
        )
    )


def index(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the index, and nothing else."""
    return lambda folder: edit_index(folder, change)


def shards(folder: Path) -> list[Path]:
    """Return the safetensors files, in order."""
    return sorted(folder.glob("*.safetensors"))


def write(name: str, content: bytes) -> Change:
    """Write a file, in a new folder too."""

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)

    return change


def remove(name: str) -> Change:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def header(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the header of the first file, so that it lies."""
    return lambda folder: edit_header(shards(folder)[0], change)


def entry_twice(folder: Path) -> None:
    """Repeat the first tensor's entry at the end of the last file's header."""
    path = shards(folder)[-1]
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    name = next(name for name in header if name != "__metadata__")
    text = raw[8 : 8 + length].rstrip()[:-1] + b"," + json.dumps({name: header[name]}).encode()[1:]
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])


def truncate(folder: Path) -> None:
    """Cut the last ten bytes off the last file."""
    path = shards(folder)[-1]
    path.write_bytes(path.read_bytes()[:-10])


def duplicate(folder: Path) -> None:
    """Put a tensor of the first file into the last one too."""
    first, last = shards(folder)[0], shards(folder)[-1]
    names, data = read_file(first)
    others, other_data = read_file(last)
    name = next(name for name in names if name.endswith("weight"))
    start, end = names[name]["data_offsets"]
    others[name] = names[name] | {"data_offsets": [len(other_data), len(other_data) + end - start]}
    write_file(last, others, other_data + data[start:end])


def duplicate_of_another_shape(folder: Path) -> None:
    """Put a name of the first file into the last one too, with one value."""
    first, last = shards(folder)[0], shards(folder)[-1]
    name = next(name for name in read_file(first)[0] if name.endswith("weight"))
    others, data = read_file(last)
    others[name] = {"dtype": "BF16", "shape": [1], "data_offsets": [len(data), len(data) + 2]}
    write_file(last, others, data + b"\0\0")
