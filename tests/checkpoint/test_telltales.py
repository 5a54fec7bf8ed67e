"""Folders that newcomers take for checkpoints: what they are is said, and what to give instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dense_builder import tiny_checkpoint

from ctq.checkpoint.checkpoint import open_checkpoint, require_sound
from ctq.checkpoint.source import LocalFolder
from ctq.checkpoint.telltales import TELLTALES, Telltale
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path


def refusal(path: Path) -> tuple[str, str | None]:
    with pytest.raises(CheckpointError) as refused:
        require_sound(open_checkpoint(LocalFolder(path, label="m")))
    return refused.value.message, refused.value.hint


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    folder = tiny_checkpoint(tmp_path, shards=1)
    (folder / "config.json").unlink()
    return folder


@pytest.mark.parametrize("telltale", TELLTALES, ids=lambda telltale: telltale.file)
def test_a_file_tells_what_a_folder_without_a_config_is(telltale: Telltale, bare: Path) -> None:
    (bare / telltale.file).write_text("{}")
    message, hint = refusal(bare)
    assert message == f"m: no config.json: {telltale.file} says that this is {telltale.kind}"
    assert hint == telltale.hint


def test_a_folder_of_one_file_is_no_file_by_itself(bare: Path) -> None:
    assert refusal(bare) == ("m: no config.json", "copy the model's config.json beside the weights")
    alone = refusal(bare / "model.safetensors")
    assert alone == ("m: a file by itself, no config.json", "give the folder that it lies in")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pytorch_model.bin", "no safetensors, only pickles (pytorch_model.bin), which ctq never opens"),
        ("m-Q4_K_M.gguf", "no safetensors, only GGUF (m-Q4_K_M.gguf)"),
        ("tf_model.h5", "no safetensors, only weights of TensorFlow or Flax (tf_model.h5)"),
        ("config.json", "no .safetensors file in it"),
    ],
)
def test_weights_in_another_format_are_named(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"{}")
    assert refusal(tmp_path)[0] == f"m: {words}"


def test_a_file_that_is_no_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    assert refusal(tmp_path / "config.json")[0] == "m: not a safetensors file"
