"""What a model's name means, decided without the hub."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from builders import tiny_checkpoint

import ctq
from ctq.checkpoint.hub import HubId, locate, obtain, open_source
from ctq.errors import CheckpointError, UsageError


def test_hub_id_with_and_without_a_revision() -> None:
    assert locate("Qwen/Qwen3-0.6B") == HubId("Qwen/Qwen3-0.6B")
    assert str(locate("meta-llama/Llama-3.1-8B", "refs/pr/1")) == "meta-llama/Llama-3.1-8B@refs/pr/1"


@pytest.mark.parametrize(
    "model",
    [
        "./org/name",
        "../name",
        "/org/name",
        "~/name",
        "~no-such-user/name",
        "a/b/c",
        "org/name/",
        "gpt2",
        "org/name.safetensors",
        "org/pytorch_model.bin",
        "org/config.json",
        "org/na me",
        "org/na--me",
        "org/na..me",
        "org\\name",
        "org/näme",
        "-org/name",
        "https://huggingface.co/org/name",
        "org/" + "n" * 200,
        "n" * 5000,
        "a\0b",
        "",
        "\n",
    ],
)
def test_what_looks_like_a_path_and_is_not_there_is_never_looked_up(model: str) -> None:
    with pytest.raises(CheckpointError, match="no such file or folder") as refusal:
        locate(model)
    assert refusal.value.hint == "give a local folder, or a hub id like ORG/NAME"


def test_what_exists_here_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_checkpoint(tmp_path / "org" / "name")
    monkeypatch.chdir(tmp_path)
    assert locate("org/name") == Path("org/name")
    assert "config.json" in open_source("org/name").files
    assert obtain("org/name", list).commit is None


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/model") == tmp_path / "model"


def test_a_path_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder here"):
        locate(str(tmp_path), "main")


def test_a_local_folder_needs_no_huggingface_hub(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "model")
    program = (
        "import sys; from ctq.checkpoint.hub import open_source; from ctq.checkpoint.checkpoint import open_checkpoint;"
        "assert open_checkpoint(open_source(sys.argv[1])).tensors;"
        "heavy = {'huggingface_hub', 'httpx', 'httpx2', 'concurrent.futures', 'torch', 'numpy', 'pathspec'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, folder], check=True, cwd=Path(ctq.__file__).parents[1])
