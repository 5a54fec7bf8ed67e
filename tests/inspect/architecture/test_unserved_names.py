"""Models as transformers saves them that vLLM 0.32.0 refuses, though nothing else is known of what they are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

CASES = [
    ("olmo-hybrid", "TEN024", "vLLM's OlmoHybridForCausalLM has no"),
    ("ModernBertDecoderForCausalLM", "TEN024", "vLLM's ModernBertDecoderForCausalLM has no"),
    ("AXK1ForCausalLM", "TEN025", "model.layers.0.post_mlp_layernorm.weight"),
    ("laguna", None, ""),
]


@pytest.mark.parametrize(("family", "code", "words"), CASES)
def test_what_vllm_refuses_as_it_is_saved(
    checkpoint: Callable[..., Path], family: str, code: str | None, words: str
) -> None:
    found = inspect_checkpoint(open_checkpoint(LocalFolder(checkpoint(family)))).findings
    errors = [(finding.code, finding.message) for finding in found if finding.severity is Severity.ERROR]
    assert [name for name, _ in errors] == ([code] if code else [])
    assert all(words in message for _, message in errors)
