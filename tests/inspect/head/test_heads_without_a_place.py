"""A head in the files of a model whose class in vLLM has no place for one, whatever the config says of ties."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import Raw, edit_config, edit_tensors
from families import build
from inspecting import errors


@pytest.mark.parametrize(
    ("family", "code"),
    [
        ("bloom", "TEN024"),  # whose loader puts `transformer.` before it
        ("gemma2", "HED010"),  # which takes the logits from the embedding
        ("cohere", None),  # so does this one, and drops the head
        ("gemma", None),
        ("gpt2", None),
    ],
)
@pytest.mark.parametrize("is_tied", [False, True])
def test_a_copy_of_the_embedding(family: str, code: str | None, is_tied: bool, tmp_path: Path) -> None:
    folder = build(family, tmp_path / family, tied=True)

    def copy(tensors: dict[str, Raw]) -> None:
        words = ("embed_tokens.weight", "word_embeddings.weight", "wte.weight")
        tensors["lm_head.weight"] = next(raw for name, raw in tensors.items() if name.endswith(words))

    edit_tensors(folder, copy)
    edit_config(folder, lambda config: config.update(tie_word_embeddings=is_tied))
    assert errors(folder) == ({code} if code else set())
