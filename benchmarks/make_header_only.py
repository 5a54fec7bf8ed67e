"""Write checkpoints that are headers over holes: any size, no disk space, for inspecting and for dry loads.

    python -m benchmarks.make_header_only /data/405b-head --model llama-405b --scheme W8A8 --dense-body --shards 191
    python -m benchmarks.make_header_only /data/deepseek --model deepseek-v3 --scheme W8A8 --shards 163

The first has 1,138 tensors (2,020 without ``--dense-body``), the second 90,428.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Final

from benchmarks.int8_shapes import SCHEMES, quantization_config, quantized_tensors
from benchmarks.layout import Shards, header_bytes, split_by_count, write_json_files
from benchmarks.shapes import DeepseekV3, Llama

MODELS: Final[dict[str, tuple[Llama | DeepseekV3, int]]] = {
    "llama-1b": (Llama(), 1),
    "llama-8b": (Llama(layers=32, hidden=4096, intermediate=14336, heads=32), 4),
    "llama-70b": (Llama(layers=80, hidden=8192, intermediate=28672, heads=64), 30),
    "llama-405b": (Llama(layers=126, hidden=16384, intermediate=53248, heads=128), 191),
    "deepseek-v3": (DeepseekV3(), 163),
}
"""Sizes, and the number of shards that the model is usually published in."""


def write_holes(folder: Path, shards: Shards) -> None:
    """Write each shard's header and extend the file to its full length without writing data."""
    for name, tensors in shards.items():
        header = header_bytes(tensors)
        path = folder / name
        path.write_bytes(header)
        os.truncate(path, len(header) + sum(tensor.nbytes for tensor in tensors))


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", choices=MODELS, default="llama-70b")
    parser.add_argument("--scheme", choices=("dense", *SCHEMES), default="W8A8")
    parser.add_argument("--dense-body", action="store_true", help="quantize the head only")
    parser.add_argument("--dense-head", action="store_true", help="leave the head out")
    parser.add_argument("--shards", type=int)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    model, usual = MODELS[options.model]
    tensors, config = model.tensors(), model.config()
    if options.scheme != "dense":
        parts = {"body": not options.dense_body, "head": not options.dense_head}
        tensors = quantized_tensors(tensors, options.scheme, **parts)
        config["quantization_config"] = quantization_config(options.scheme, **parts)
    shards = split_by_count(tensors, options.shards or usual)
    options.output.mkdir(parents=True)
    write_holes(options.output, shards)
    write_json_files(options.output, config, shards)
    count = sum(map(len, shards.values()))
    total = sum(tensor.nbytes for tensors in shards.values() for tensor in tensors)
    print(f"{options.output}: {count:,} tensors in {len(shards)} shards, {total / 1e9:.0f} GB of holes")


if __name__ == "__main__":
    main()
