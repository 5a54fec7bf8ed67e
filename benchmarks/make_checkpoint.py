"""Write a dense Llama checkpoint of any size at the speed of the disk, in a hundred megabytes of memory.

    python -m benchmarks.make_checkpoint /data/llama-3gb                 # 16 layers, 3.0 GB
    python -m benchmarks.make_checkpoint /data/llama-10gb --size 10GB

Weights are normal with a standard deviation of 0.02, rows taken from one random block at changing offsets.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.layout import Shards, header_bytes, split_by_size, write_json_files
from benchmarks.shapes import DTYPE_NAMES, ITEM_SIZE, Llama, Tensor

if TYPE_CHECKING:
    from typing import BinaryIO

UNITS: Final = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
BLOCK: Final = 1 << 23
"""Random values held in memory; prime steps through it keep rows of equal length from repeating."""
STEP: Final = 1_299_709


def parse_size(text: str) -> int:
    """Return bytes for ``5GB``, ``500MB`` or a plain number."""
    unit = text[-2:].upper()
    return int(float(text[:-2]) * UNITS[unit]) if unit in UNITS else int(text)


def layers_for(nbytes: int, model: Llama) -> int:
    """Return the number of layers that brings the model closest to ``nbytes``; at least one."""
    none, one = (sum(tensor.nbytes for tensor in replace(model, layers=count).tensors()) for count in (0, 1))
    return max(1, round((nbytes - none) / (one - none)))


def random_block(dtype: str, seed: int) -> bytes:
    """Return normal values in ``dtype``, standard deviation 0.02, twice over, so that any slice up to half is one piece."""
    values = 0.02 * np.random.default_rng(seed).standard_normal(BLOCK, np.float32)
    if dtype == "BF16":
        data = ((values.view("<u4").astype(np.uint64) + 0x8000) >> 16).astype("<u2").tobytes()
    else:
        data = values.astype({"F16": np.float16, "F32": np.float32}[dtype]).tobytes()
    return data + data


class Stream:
    """Write tensors from one random block, each from where the last one stopped and a prime step further."""

    def __init__(self, dtype: str, seed: int) -> None:
        self.block = memoryview(random_block(dtype, seed))
        self.half = len(self.block) // 2
        self.item = ITEM_SIZE[dtype]
        self.position = 0

    def write(self, file: BinaryIO, tensor: Tensor) -> None:
        """Write the data of ``tensor``; norms are ones."""
        if len(tensor.shape) == 1:
            one = {"BF16": b"\x80\x3f", "F16": b"\x00\x3c", "F32": b"\x00\x00\x80\x3f"}[tensor.dtype]
            file.write(one * tensor.shape[0])
            return
        left = tensor.nbytes
        while left:
            size = min(left, self.half)
            file.write(self.block[self.position : self.position + size])
            self.position = (self.position + size + STEP * self.item) % self.half
            left -= size


def write_shards(folder: Path, shards: Shards, stream: Stream) -> None:
    """Write every shard: header, then data."""
    for name, tensors in shards.items():
        with (folder / name).open("wb", buffering=0) as file:
            file.write(header_bytes(tensors))
            for tensor in tensors:
                stream.write(file, tensor)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", type=parse_size, help="choose the layers to come close to this, e.g. 10GB")
    parser.add_argument("--layers", type=int, default=Llama().layers)
    parser.add_argument("--hidden", type=int, default=Llama().hidden)
    parser.add_argument("--vocab", type=int, default=Llama().vocab)
    parser.add_argument("--dtype", choices=DTYPE_NAMES, default="BF16")
    parser.add_argument("--shard-size", type=parse_size, default="5GB")
    parser.add_argument("--tied", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    sizes = {
        "layers": options.layers,
        "hidden": options.hidden,
        "intermediate": 4 * options.hidden,
        "vocab": options.vocab,
    }
    model = Llama(**sizes, dtype=options.dtype, tied=options.tied)
    if options.size:
        model = replace(model, layers=layers_for(options.size, model))
    started = time.perf_counter()
    shards = split_by_size(model.tensors(), options.shard_size)
    options.output.mkdir(parents=True)
    write_shards(options.output, shards, Stream(options.dtype, options.seed))
    write_json_files(options.output, model.config(), shards)
    total = sum(tensor.nbytes for tensors in shards.values() for tensor in tensors)
    seconds = time.perf_counter() - started
    print(f"{options.output}: {total / 1e9:.2f} GB, {model.layers} layers, {len(shards)} shards, {seconds:.1f} s")


if __name__ == "__main__":
    main()
