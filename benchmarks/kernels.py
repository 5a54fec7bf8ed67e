"""How fast each kernel goes through weights in memory, against numpy's copy of the same bytes.

    python -m benchmarks.kernels [--threads 2] [--mebibytes 256] [--repeats 5]

Figures are gigabytes of weights read per second. "in cache" is one thread on one block that stays in the second-level
cache: the kernel alone. "streamed" is all threads over weights that do not fit any cache: the kernel and the memory.
Every figure is the best of its repeats, since other work on the machine can only slow a run down.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctq.kernels.compare import compare_block
from ctq.kernels.quantize import allocate_output, quantize_block
from ctq.kernels.spec import KernelSpec, SourceDtype

COLS = 4096
BLOCK_BYTES = 512 * 1024
SPECS: dict[str, dict[str, Any]] = {
    "W8A8 channel": {},
    "W8A8 channel mse": {"observer": "mse"},
    "W8A16 channel": {"packed": True},
    "W8A16 group 128": {"packed": True, "strategy": "group", "group_size": 128},
    "W8A16 group 128 asymmetric": {"packed": True, "strategy": "group", "group_size": 128, "symmetric": False},
    "W8A16 group 128 mse": {"packed": True, "strategy": "group", "group_size": 128, "observer": "mse"},
    "W8A16 group 32": {"packed": True, "strategy": "group", "group_size": 32},
}

Work = Callable[[NDArray[Any]], object]
_FIRST_BLOCK = """
import numpy as np
from ctq.kernels.quantize import allocate_output, quantize_block
from ctq.kernels.spec import KernelSpec, SourceDtype
spec = KernelSpec("BF16")
quantize_block(np.zeros((8, 64), np.uint16), spec, allocate_output(spec, 8, 64))
"""


def source(dtype: str, nbytes: int) -> NDArray[Any]:
    """Return normally distributed weights as raw bits, a part of them over and over."""
    part = np.random.default_rng(0).standard_normal((256, COLS), np.float32) * np.float32(0.02)
    if dtype == "BF16":
        bits: NDArray[Any] = (part.view(np.uint32) >> 16).astype(np.uint16)
    else:
        bits = part.astype(np.float16).view(np.uint16) if dtype == "F16" else part.view(np.uint32)
    return np.resize(bits, (max(256, nbytes // bits.itemsize // COLS), COLS))


def best_seconds(action: Callable[[], object], repeats: int) -> float:
    action()
    return min(_seconds(action) for _ in range(repeats))


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_cache(work: Work, block: NDArray[Any], repeats: int) -> float:
    return block.nbytes / best_seconds(lambda: work(block), repeats * 20) / 1e9


def streamed(works: Sequence[Work], weights: NDArray[Any], rows: int, repeats: int) -> float:
    """Run one piece of work per thread, each with its own output, over shares of the weights."""
    shares = np.array_split(weights, len(works))

    def walk(index: int) -> None:
        for start in range(0, len(shares[index]) - rows + 1, rows):
            works[index](shares[index][start : start + rows])

    with ThreadPoolExecutor(len(works)) as pool:
        seconds = best_seconds(lambda: list(pool.map(walk, range(len(works)))), repeats)
    return weights.nbytes / seconds / 1e9


def quantizer(spec: KernelSpec, rows: int) -> Work:
    out = allocate_output(spec, rows, COLS)
    return lambda block: quantize_block(block, spec, out)


def comparer(dtype: SourceDtype, rows: int) -> Work:
    values, scale = np.ones((rows, COLS), np.int8), np.full((rows, 1), 5e-4, np.float32)
    return lambda block: compare_block(block, dtype, values=values, scale=scale)


def copier(block: NDArray[Any]) -> Work:
    target = np.empty_like(block)
    return lambda block: np.copyto(target, block)


def start_up() -> None:
    """Print what a process needs before its first block, with machine code kept from an earlier run."""
    seconds = best_seconds(lambda: subprocess.run([sys.executable, "-c", _FIRST_BLOCK], check=True), 5)
    bare = best_seconds(lambda: subprocess.run([sys.executable, "-c", "import numpy"], check=True), 5)
    print(f"whole process up to its first block: {seconds:.2f} s (importing numpy alone: {bare:.2f} s)")


def measure(dtype: SourceDtype, *, threads: int, nbytes: int, repeats: int) -> None:
    weights = source(dtype, nbytes)
    rows = BLOCK_BYTES // (COLS * weights.itemsize)
    makers: dict[str, Callable[[], Work]] = {"numpy copy": lambda: copier(weights[:rows])}
    makers |= {name: partial(quantizer, KernelSpec(dtype, **arguments), rows) for name, arguments in SPECS.items()}
    makers["compare channel"] = lambda: comparer(dtype, rows)
    copied = None
    for name, make in makers.items():
        single = in_cache(make(), weights[:rows], repeats)
        rate = streamed([make() for _ in range(threads)], weights, rows, repeats)
        copied = copied or rate
        print(f"{dtype:6}{name:28}{single:10.2f}{rate:10.2f}{rate / copied:10.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mebibytes", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(f"{'dtype':6}{'kernel':28}{'in cache':>10}{'streamed':>10}{'to copy':>10}")
    dtypes: tuple[SourceDtype, ...] = ("BF16", "F16", "F32")
    for dtype in dtypes:
        measure(dtype, threads=options.threads, nbytes=options.mebibytes << 20, repeats=options.repeats)
    start_up()


if __name__ == "__main__":
    main()
