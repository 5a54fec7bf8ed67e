"""What training frameworks leave inside a layer of a wrapper's text model, which has no module there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors
from families import build
from inspecting import errors

HEAD, EMBEDDING = "lm_head", "embed_tokens"


def put_inside(layer: str, copy: str, *, moved: bool) -> Callable[[dict[str, Raw]], None]:
    def change(tensors: dict[str, Raw]) -> None:
        (name,) = (name for name in tensors if name.endswith(f"{layer}.weight"))
        inside = f"{name.removesuffix('.weight')}.{copy}.weight"
        tensors[inside] = tensors.pop(name) if moved else tensors[name]

    return change


@pytest.mark.parametrize("family", ["llama", "llava", "internvl", "qwen3-vl", "mistral3"])
def test_peft_keeps_a_copy_of_the_head(family: str, tmp_path: Path) -> None:
    folder = build(family, tmp_path / family)
    assert errors(folder) == set()
    edit_tensors(folder, put_inside(HEAD, "original_module", moved=False))
    assert errors(folder) == {"TEN024"}


@pytest.mark.parametrize("family", ["llama", "llava", "qwen3-vl"])
def test_peft_keeps_the_embedding_under_its_own_name(family: str, tmp_path: Path) -> None:
    folder = build(family, tmp_path / family)
    edit_tensors(folder, put_inside(EMBEDDING, "modules_to_save.default", moved=True))
    assert "TEN024" in errors(folder)
