"""Tie flags that differ from level to level in a wrapper without a head: each model class of vLLM looks at its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import edit_config, edit_tensors
from inspecting import error_list

CheckpointFactory = Callable[..., Path]
KEY = "tie_word_embeddings"


def without_head(source: Path, folder: Path, top: bool | None, text: bool | None) -> Path:
    """Copy a dense wrapper, take its head away and state the flags."""
    shutil.copytree(source, folder)

    def change(config: dict[str, Any]) -> None:
        for level, flag in ((config, top), (config["text_config"], text)):
            level.pop(KEY, None)
            level.update({} if flag is None else {KEY: flag})

    edit_config(folder, change)
    edit_tensors(folder, lambda held: [held.pop(name) for name in list(held) if name.endswith("lm_head.weight")])
    return folder


@pytest.mark.parametrize(
    ("family", "top", "text", "tied"),
    [
        ("llava", False, True, True),  # either level
        ("llava", True, False, True),
        ("llava", False, False, False),
        ("idefics3", True, False, False),  # the text model's
        ("idefics3", False, True, True),
        ("llava-next", None, True, False),  # the top level's, which assumes none
        ("mistral3", None, False, True),  # the top level's, which assumes a tie
        ("qwen2-audio", None, True, True),  # the first that states one
        ("qwen2-audio", False, True, False),
    ],
)
def test_the_level_that_the_model_class_looks_at(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, top: bool | None, text: bool | None, tied: bool
) -> None:
    found = error_list(without_head(checkpoint(family), tmp_path / "c", top, text))
    assert found == ([] if tied else ["HED010"])
