"""Models as transformers saves them that vLLM 0.32.0 refuses, or of which it leaves unread what it needs."""

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
    ("dbrx", "TEN024", "transformer.blocks.#.ffn.experts.mlp.w1"),
    ("laguna", "TEN024", "never loading model.layers.#.mlp.experts.e_score_correction_bias"),
    ("olmo3", None, ""),
]
"""BERT's larger head no checkpoint goes without, and the head is an error already (`tests/engines_rules`)."""


@pytest.mark.parametrize(("family", "code", "words"), CASES)
def test_what_vllm_refuses_as_it_is_saved(
    checkpoint: Callable[..., Path], family: str, code: str | None, words: str
) -> None:
    found = inspect_checkpoint(open_checkpoint(LocalFolder(checkpoint(family)))).findings
    errors = [(finding.code, finding.message) for finding in found if finding.severity is Severity.ERROR]
    assert [name for name, _ in errors] == ([code] if code else [])
    assert all(words in message for _, message in errors)
