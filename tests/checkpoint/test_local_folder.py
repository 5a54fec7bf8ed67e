"""Folders as they are found: links, modes, things that are not files."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from builders import SINGLE, tiny_checkpoint

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.faults import FaultKind
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_checkpoint(tmp_path / "a [folder] {of} ours", shards=1)


def kinds(folder: Path) -> set[FaultKind]:
    return {fault.kind for fault in open_checkpoint(LocalFolder(folder)).faults}


def test_lists_every_file_with_its_size(folder: Path) -> None:
    (folder / "sub" / "deeper").mkdir(parents=True)
    (folder / "sub" / "deeper" / "merges.txt").write_bytes(bytes(5))
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("x")
    source = LocalFolder(folder)
    assert list(source.files) == ["config.json", SINGLE, "sub/deeper/merges.txt"]
    assert source.files["sub/deeper/merges.txt"] == 5
    assert source.label == str(folder)


def test_reads_ranges_and_stops_at_the_end(folder: Path) -> None:
    (folder / "digits.txt").write_bytes(b"0123456789")
    source = LocalFolder(folder)
    assert source.read("digits.txt") == b"0123456789"
    assert source.read("digits.txt", 3, 4) == b"3456"
    assert source.read("digits.txt", 8) == b"89"
    assert source.read("digits.txt", 8, 100) == b"89"
    assert source.read("digits.txt", 100, 3) == b""


@pytest.mark.parametrize("name", ["../outside.json", "/etc/hostname", "config.json/..", "missing.json", ""])
def test_reads_nothing_that_it_does_not_list(folder: Path, name: str) -> None:
    (folder.parent / "outside.json").write_text("{}")
    with pytest.raises(CheckpointError, match="no file"):
        LocalFolder(folder).read(name)


def test_a_single_file_is_a_folder_with_nothing_else(folder: Path) -> None:
    source = LocalFolder(folder / SINGLE)
    assert list(source.files) == [SINGLE]
    checkpoint = open_checkpoint(source)
    assert len(checkpoint.tensors) == 21
    assert {fault.kind for fault in checkpoint.faults} == {FaultKind.CONFIG_MISSING}


@pytest.mark.parametrize("name", ["missing", "missing/deeper", "config.json/deeper", "null\0byte", "n" * 5000])
def test_what_is_not_there(folder: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"no such file or folder|File name too long"):
        LocalFolder(folder / name)


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.safetensors")
    with pytest.raises(CheckpointError, match="neither a file nor a folder"):
        LocalFolder(folder / "pipe.safetensors")
    assert "pipe.safetensors" not in LocalFolder(folder).files


def test_a_folder_named_like_weights_holds_no_weights(folder: Path) -> None:
    (folder / SINGLE).unlink()
    (folder / SINGLE).mkdir()
    with pytest.raises(CheckpointError, match=r"no \.safetensors file in it"):
        open_checkpoint(LocalFolder(folder))


def test_links_within_the_folder_are_files(folder: Path) -> None:
    (folder / SINGLE).rename(folder / "weights.data")
    (folder / SINGLE).symlink_to("weights.data")
    assert LocalFolder(folder).links_outside == {}
    assert kinds(folder) == set()


def test_links_out_of_the_folder_are_named(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("{}")
    (folder / "tokenizer.json").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    assert LocalFolder(folder).links_outside == {"tokenizer.json": str(secret)}
    assert kinds(folder) == {FaultKind.LINK_OUTSIDE}


def test_the_cache_of_the_hub_is_made_of_links(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "models--org--name"
    snapshot = cache / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    for path in folder.iterdir():
        shutil.copy(path, cache / "blobs" / f"of-{path.name}")
        (snapshot / path.name).symlink_to(f"../../blobs/of-{path.name}")
    assert kinds(snapshot) == set()
    secret = tmp_path.parent / f"{tmp_path.name}-secret"
    secret.write_text("{}")
    (snapshot / "tokenizer.json").symlink_to(secret)
    assert LocalFolder(snapshot).links_outside == {"tokenizer.json": str(secret)}


def test_links_that_lead_nowhere(folder: Path) -> None:
    (folder / "notes").symlink_to("nowhere")
    (folder / "round").symlink_to("round")
    assert kinds(folder) == set()
    (folder / "extra.safetensors").symlink_to("../blobs/never-fetched")
    with pytest.raises(CheckpointError, match="a link that leads to no file"):
        LocalFolder(folder)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder outside pytest's own, which only its user may enter; root becomes nobody, since root reads everything."""
    with tempfile.TemporaryDirectory() as name:
        folder = tiny_checkpoint(Path(name) / "tiny", shards=1)
        before = os.geteuid()
        if before == 0:
            os.chown(folder, NOBODY, NOBODY)
            Path(name).chmod(0o755)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(before)
            folder.chmod(0o755)


def test_weights_that_may_not_be_read(unprivileged: Path) -> None:
    before = os.geteuid()
    os.seteuid(os.getuid())
    (unprivileged / SINGLE).chmod(0)
    os.seteuid(before)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: Permission denied"):
        open_checkpoint(LocalFolder(unprivileged))


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444])
def test_a_folder_inside_that_may_not_be_entered_is_passed_over(unprivileged: Path, mode: int) -> None:
    lost = unprivileged / "lost+found"
    lost.mkdir()
    (lost / "#12.json").touch()
    lost.chmod(mode)
    try:
        assert list(LocalFolder(unprivileged).files) == ["config.json", SINGLE]
    finally:
        lost.chmod(0o755)


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444])
def test_folders_that_may_not_be_listed_or_entered(unprivileged: Path, mode: int) -> None:
    unprivileged.chmod(mode)
    with pytest.raises(CheckpointError, match="Permission denied"):
        LocalFolder(unprivileged)


def test_files_that_vanish_while_they_are_read(folder: Path) -> None:
    source = LocalFolder(folder)
    (folder / SINGLE).unlink()
    with pytest.raises(CheckpointError, match=f"{SINGLE}: No such file or directory"):
        open_checkpoint(source)
