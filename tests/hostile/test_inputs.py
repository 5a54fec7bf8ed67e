"""Files of a checkpoint that are endless, enormous or no files: a report or one line, in the memory that a process is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from builders import edit_config, tiny_checkpoint, tiny_quantized

LIMITED = """
import resource, sys
import ctq.cli.main as main
if "verify" in sys.argv:
    import torch, ctq.verify.run
from pathlib import Path
now = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 10**9,) * 2)
main.main(sys.argv[1:])
"""


def ctq(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"])
def test_a_hundred_gigabytes_in_the_place_of_a_file(tmp_path: Path, name: str) -> None:
    folder = tiny_quantized(tmp_path / "model", kind="w8a8", shards=2)
    os.truncate(folder / name, 10**11)
    done = ctq("inspect", str(folder))
    assert done.returncode == 1
    assert done.stderr == ""


def test_a_record_of_a_hundred_gigabytes_is_none(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "model", kind="w8a8")
    tiny_checkpoint(tmp_path / "dense")
    (folder / "ctq.json").write_text("{}")
    os.truncate(folder / "ctq.json", 10**11)
    done = ctq(
        "verify", str(folder), "--reference", str(tmp_path / "dense"), "--engine", "builtin", "--tokens", "2", "-q"
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["pipe", "folder", "/dev/zero", "/dev/stdin", "/proc/kcore"])
@pytest.mark.parametrize("command", [["inspect"], ["quantize", "--dry-run"]], ids=["inspect", "quantize"])
def test_a_shard_that_is_no_file(tmp_path: Path, kind: str, command: list[str]) -> None:
    folder = tiny_checkpoint(tmp_path / "model", shards=2)
    shard = folder / "model-00001-of-00002.safetensors"
    shard.unlink()
    if kind == "pipe":
        os.mkfifo(shard)
    elif kind == "folder":
        shard.mkdir()
    else:
        shard.symlink_to(kind)
    done = ctq(*command, str(folder))
    assert done.returncode in (1, 3), done.stdout
    assert shard.name in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_packed_weights_under_a_config_that_hides_them_are_refused(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "model", kind="w8a16")
    edit_config(folder, lambda config: config.update(quantization_config=[config["quantization_config"]]))
    done = ctq("quantize", str(folder), "--include-lm-head", "--dry-run")
    assert done.returncode in (1, 2, 3)
    assert "Traceback" not in done.stderr
