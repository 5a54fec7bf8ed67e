"""Which of several architectures decides: as the real vLLM 0.32.0 answered of a Llama with a dense head, and without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import drop_tensor, edit_config, tiny_checkpoint

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

CAUSAL, CLASSIFIER = "LlamaForCausalLM", "LlamaForSequenceClassification"
CASES = [
    ([CAUSAL], True, False),
    ([CAUSAL, CLASSIFIER], True, False),
    ([CLASSIFIER, CAUSAL], False, False),
    (["Foo", CLASSIFIER, CAUSAL], False, False),
    (["Foo", CAUSAL, "LlamaModel"], True, False),
    (["FooForSequenceClassification", CAUSAL], False, False),
    (["FooForCausalLM", CLASSIFIER], False, False),
    (["LlamaForTokenClassification", "Foo"], False, False),
    (["FooModel", CAUSAL], True, True),
    ([CAUSAL, "FooModel"], True, False),
    (["LlamaForRewardModeling", CAUSAL], True, True),
    (["LlamaEmbeddingModel", CAUSAL], True, True),
    (["RewardModel", CAUSAL], True, True),
    (["AlbertModel", CAUSAL], True, True),
    (["BertModel", CAUSAL], False, False),
    (["BertModel"], False, False),
    (["ModernBertForTokenClassification", CAUSAL], False, False),
    (["CLIPModel", CAUSAL], False, False),
    (["GteModel", CAUSAL], False, False),
    (["Qwen2ForRewardModel", CAUSAL], False, False),
    (["InternLM2ForRewardModel", CAUSAL], False, False),
]
"""Names, and whether vLLM serves the model right with its head and without."""


@pytest.mark.parametrize(
    ("names", "with_head", "without"), CASES, ids=lambda value: "+".join(value) if isinstance(value, list) else ""
)
def test_the_first_that_says_something_decides(
    names: list[str], with_head: bool, without: bool, tmp_path: Path
) -> None:
    folder = tiny_checkpoint(tmp_path)
    edit_config(folder, lambda config: config.update(architectures=names))
    assert served(folder) is with_head
    drop_tensor(folder, "lm_head.weight")
    assert served(folder) is without


def served(folder: Path) -> bool:
    found = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    return all(finding.severity is not Severity.ERROR for finding in found)
