"""Models of sentence-transformers: what tells them, and which files are theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ctq.checkpoint.pooling import is_pooled, module_files
from ctq.checkpoint.source import LocalFolder
from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "pooled"),
    [
        (
            '[{"type": "sentence_transformers.models.Transformer"}, {"type": "sentence_transformers.models.Pooling", "path": ""}]',
            True,
        ),
        ('[{"type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling", "path": "1_Pooling"}]', True),
        ('[{"type": "sentence_transformers.models.Transformer"}]', False),
        ("[]", False),
        ('[{"type": null}]', False),
        ("{}", False),
        ("null", False),
        ('""', False),
    ],
)
def test_a_pooling_module_tells_an_embedding_model(tmp_path: Path, text: str, pooled: bool) -> None:
    (tmp_path / "modules.json").write_text(text)
    assert is_pooled(LocalFolder(tmp_path)) is pooled


@pytest.mark.parametrize(
    "text",
    [
        '[{"type": ["sentence_transformers.models.Pooling"]}]',
        '{"type": "sentence_transformers.models.Pooling"}',
        '[{"type": "sentence_transformers.models.Pooling"}]',
        '[{"type": "sentence_transformers.models.Transformer"}, {"path": ""}]',
        "[null]",
        "3",
        "NaN",
        '"modules"',
        "not JSON",
        "[" * 100_000,
    ],
)
def test_what_vllm_stops_at_is_refused(tmp_path: Path, text: str) -> None:
    """vLLM 0.32.0 was seen to refuse each of these, and to take each of those above."""
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"modules\.json: (not JSON|no list)"):
        is_pooled(LocalFolder(tmp_path))


def test_without_the_file_it_is_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert not is_pooled(LocalFolder(tmp_path))


def test_files_of_modules() -> None:
    files = ["1_Pooling/config.json", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin", "onnx/config.json"]
    assert module_files(["modules.json", *files]) == ("1_Pooling/config.json", "2_Dense/model.safetensors")
    assert module_files(files) == (), "of other models these are nobody's"
