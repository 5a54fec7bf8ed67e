"""A disk that is full, at any moment: exit code 3, one line, the source as it was, and a run to resume."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import tiny_checkpoint
from quantizing import folder_bytes

OPTIONS = ("--include-lm-head", "--max-shard-size", "100KB", "--no-verify", "-q", "--workers", "2")
NO_LARGE_FILES = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from ctq.cli.main import main
main(sys.argv[2:])
"""
BELIEVING = """
import sys
import ctq.quantize.run as run
run.check_space = lambda *a: None
from ctq.cli.main import main
main(sys.argv[1:])
"""
"""Somebody else fills the disk after the check of the free space: the run finds out by writing."""


def ctq(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_checkpoint(tmp_path_factory.mktemp("full") / "source", vocab=2048)
    (folder / "tokenizer.json").write_text(" " * 300_000)
    return folder


@pytest.fixture(scope="module")
def whole(source: Path) -> dict[str, bytes]:
    out = source.with_name("whole")
    done = ctq("-m", "ctq", "quantize", str(source), "-o", str(out), *OPTIONS)
    assert done.returncode == 0, done.stderr
    return folder_bytes(out)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, where this machine lets us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "ctq-test", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", place], check=True)


def check_refusal(done: subprocess.CompletedProcess[str], out: Path, words: str) -> None:
    assert done.returncode == 3, done.stderr
    assert [line[:5] for line in done.stderr.splitlines()] == ["ctq: ", "  hin"], done.stderr
    assert words in done.stderr
    assert "--resume" in done.stderr
    assert done.stdout == ""
    assert not out.exists()


@pytest.mark.parametrize("left", [5_000, 120_000, 500_000, 1_200_000])
def test_a_disk_that_fills_up(source: Path, whole: dict[str, bytes], small_disk: Path, left: int) -> None:
    before = folder_bytes(source)
    out, filler = small_disk / "out", small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    filler.write_bytes(bytes(free - left))
    assert sum(map(len, whole.values())) > left
    check_refusal(
        ctq("-c", BELIEVING, "quantize", str(source), "-o", str(out), *OPTIONS), out, "No space left on device"
    )
    assert folder_bytes(source) == before
    filler.unlink()
    done = ctq("-c", BELIEVING, "quantize", str(source), "-o", str(out), *OPTIONS, "--resume")
    assert done.returncode == 0, done.stderr
    assert folder_bytes(out) == whole


@pytest.mark.parametrize("limit", [4096, 60_000, 150_000])
def test_files_that_may_not_grow(source: Path, whole: dict[str, bytes], tmp_path: Path, limit: int) -> None:
    out = tmp_path / "out"
    check_refusal(
        ctq("-c", NO_LARGE_FILES, str(limit), "quantize", str(source), "-o", str(out), *OPTIONS), out, "File too large"
    )
    done = ctq("-m", "ctq", "quantize", str(source), "-o", str(out), *OPTIONS, "--resume")
    assert done.returncode == 0, done.stderr
    assert folder_bytes(out) == whole


def test_too_small_a_disk_is_refused_with_the_numbers_before_anything_is_written(
    source: Path, small_disk: Path
) -> None:
    done = ctq("-m", "ctq", "quantize", str(source), "-o", str(small_disk / "out"), *OPTIONS)
    assert done.returncode == 3
    assert "no space: needs " in done.stderr
    assert " are free" in done.stderr
    assert not list(small_disk.iterdir())
