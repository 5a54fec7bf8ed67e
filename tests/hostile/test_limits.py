"""Limits of a process, set and kept: memory for a tensor that is larger than it, open files for more shards than it, threads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, dense_config, edit_config, tiny_checkpoint, write_folder
from raw_safetensors import write_file

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CheckpointError
from ctq.verify.tensor_bytes import TensorBytes

CheckpointFactory = Callable[..., Path]
PRELUDE = """
import resource, sys, threading
from pathlib import Path
from ctq.cli.main import main
"""
FEW_FILES = f"{PRELUDE}resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\nmain(sys.argv[1:])"
LITTLE_MEMORY = f"""{PRELUDE}
import ctq.quantize.rows, ctq.kernels.loading, ctq.quantize.run
now = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 300_000_000,) * 2)
main(sys.argv[1:])"""
MEMORY_OF_AN_INSPECTION = f"""{PRELUDE}
resource.setrlimit(resource.RLIMIT_AS, (600_000_000,) * 2)
main(sys.argv[1:])"""
COUNTING = f"""{PRELUDE}
import ctq.quantize.stream as stream
names, real = set(), stream.quantize_unit
stream.quantize_unit = lambda *a, **k: (names.add(threading.current_thread().name), real(*a, **k))[1]
try:
    main(sys.argv[1:])
finally:
    print(len(names), file=sys.stderr)
"""


def ctq(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def many_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred shards of one tensor or none that matters."""
    folder = tmp_path_factory.mktemp("many") / "source"
    return tiny_checkpoint(folder, shards=300, layers=64, vocab=64)


def test_three_hundred_shards_with_sixty_four_files(many_shards: Path, tmp_path: Path) -> None:
    assert len(list(many_shards.glob("*.safetensors"))) > 250
    out = tmp_path / "out"
    quantize = ["quantize", str(many_shards), "-o", str(out), "--include-lm-head", "--max-shard-size", "20KB"]
    for arguments in (
        ["inspect", str(many_shards)],
        [*quantize, "--workers", "4", "-q"],
        ["inspect", str(out), "--deep"],
        ["verify", str(out), "--engine", "builtin", "--reference", str(many_shards), "--tokens", "4"],
    ):
        done = ctq(FEW_FILES, *arguments)
        assert (done.returncode, done.stderr.count("Error")) == (0, 0), (arguments, done.stdout, done.stderr)
    assert len(list(out.glob("*.safetensors"))) > 250


def big_tensor(folder: Path, rows: int, columns: int) -> Path:
    """A head of zeros over a hole: gigabytes that take no space."""
    small = {"model.embed_tokens.weight": Raw("BF16", (64, columns), bytes(2 * 64 * columns))}
    write_folder(folder, small, dense_config(vocab=rows), shards=1)
    nbytes = 2 * rows * columns
    header = {"lm_head.weight": {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [0, nbytes]}}
    write_file(folder / "extra.safetensors", header, b"")
    with (folder / "extra.safetensors").open("r+b") as file:
        file.truncate(file.seek(0, 2) + nbytes)
    weight_map = {"lm_head.weight": "extra.safetensors", "model.embed_tokens.weight": "model.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    edit_config(folder, lambda config: config.update(hidden_size=columns, vocab_size=rows))
    return folder


def test_a_tensor_larger_than_the_memory(tmp_path: Path) -> None:
    source = big_tensor(tmp_path / "source", 1 << 16, 1 << 12)  # 537 MB, in a process that may grow by 300 MB
    options = ["--include-lm-head", "--no-verify", "--workers", "2", "-q"]
    done = ctq(LITTLE_MEMORY, "quantize", str(source), "-o", str(tmp_path / "out"), *options)
    assert (done.returncode, done.stderr) == (0, "")
    weights = tmp_path / "out/model.safetensors"
    assert weights.stat().st_size > 1 << 28
    weights.unlink()


@pytest.mark.parametrize("family", ["llama", "jamba", "deepseek-v3"])
def test_a_config_that_counts_a_billion_layers(checkpoint: CheckpointFactory, tmp_path: Path, family: str) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "own")
    edit_config(folder, lambda config: config.update(num_hidden_layers=10**9))
    done = ctq(MEMORY_OF_AN_INSPECTION, "inspect", str(folder))
    assert done.returncode == 1, done.stderr
    assert "TEN025" in done.stdout


@pytest.mark.parametrize("workers", [1, 3])
def test_threads_are_as_many_as_asked_for(tmp_path: Path, workers: int) -> None:
    source = tiny_checkpoint(tmp_path / "source", layers=16)
    done = ctq(
        COUNTING, "quantize", str(source), "-o", str(tmp_path / "out"), "--no-verify", "-q", "--workers", str(workers)
    )
    assert 1 <= int(done.stderr) <= workers
    assert (workers == 1) <= (int(done.stderr) == 1)


def test_a_file_that_shrinks_while_it_is_verified_is_one_line(tmp_path: Path) -> None:
    out = tiny_checkpoint(tmp_path / "out", shards=1)
    with TensorBytes(open_checkpoint(LocalFolder(out))) as tensors:
        os.truncate(out / "model.safetensors", 100)
        with pytest.raises(CheckpointError, match="ended early: it changed while it was read"):
            tensors.read("lm_head.weight", memoryview(bytearray(1000)))
