"""Wrappers that vLLM pools with: it takes the names that it takes of them otherwise, of some text models those inside the body."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from builders import edit_tensors
from families import build
from head_cases import pooled
from inspecting import errors

TEXT = re.compile(r"(?:model\.)?(?:language_model\.)?(?:model\.)?(?=(?:layers|embed_tokens|norm)\.)")


@pytest.mark.parametrize("family", ["qwen2-vl", "qwen2.5-vl", "qwen3-vl", "llava", "gemma3-mm"])
@pytest.mark.parametrize(
    ("text", "others", "refusing"),
    [
        ("", True, "all"),
        ("", False, "all"),
        ("text_model.", True, "all"),
        ("language_model.", True, "qwen3-vl"),
        ("language_model.model.", True, "none"),
        ("model.language_model.", False, "none"),
    ],
)
def test_names_of_the_text_model(family: str, text: str, others: bool, refusing: str, tmp_path: Path) -> None:
    pooled(build(family, tmp_path))

    def rename(tensors: dict[str, object]) -> None:
        for name in list(tensors):
            tensor = tensors.pop(name)
            if not name.startswith("lm_head"):
                other = name.removeprefix("model.") if others else name
                tensors[TEXT.sub(text, name, count=1) if TEXT.match(name) else other] = tensor

    edit_tensors(tmp_path, rename)
    assert bool(errors(tmp_path) & {"TEN024", "TEN025"}) == (refusing in ("all", family))
