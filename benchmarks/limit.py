"""Read a folder and write as many bytes as told, doing nothing else: what a quantization cannot be faster than.

    python -m benchmarks.limit SOURCE OUTPUT --written BYTES [--threads 2]

Threads share the source's bytes; each reads into one buffer and writes from it, in whole pages on reserved blocks.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CHUNK = 1 << 20


def transfer(source: int, target: int, start: int, stop: int, share: float) -> None:
    """Read the bytes ``[start, stop)`` and write a share of them at their share of the place."""
    buffer = memoryview(bytearray(CHUNK))
    written = int(start * share) // CHUNK * CHUNK
    for place in range(start, stop, CHUNK):
        os.preadv(source, [buffer[: min(CHUNK, stop - place)]], place)
        if written < int((place + CHUNK) * share):
            os.pwrite(target, buffer, written)
            written += CHUNK


def transfer_file(path: Path, output: Path, share: float, pool: ThreadPoolExecutor, threads: int) -> None:
    """Have every thread take its part of one file."""
    nbytes = path.stat().st_size
    source, target = os.open(path, os.O_RDONLY), os.open(output, os.O_WRONLY | os.O_CREAT, 0o666)
    os.posix_fallocate(target, 0, int(nbytes * share) + CHUNK)
    part = -(-nbytes // threads // CHUNK) * CHUNK
    parts = [(start, min(start + part, nbytes)) for start in range(0, nbytes, part)]
    for future in [pool.submit(transfer, source, target, *ends, share) for ends in parts]:
        future.result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--written", type=int, required=True)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    options.output.mkdir()
    files = sorted(options.source.glob("*.safetensors"))
    share = options.written / sum(path.stat().st_size for path in files)
    with ThreadPoolExecutor(options.threads) as pool:
        for path in files:
            transfer_file(path, options.output / path.name, share, pool, options.threads)


if __name__ == "__main__":
    main()
