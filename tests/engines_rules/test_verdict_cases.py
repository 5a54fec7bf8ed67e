"""The verdict on each healthy and broken head of the table, and transformers itself on the same checkpoints.

tests/engines/test_vllm_verdicts.py asks the real vLLM for its column.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from builders import all_tensors, tiny_checkpoint
from head_cases import CASES, HeadCase, facts_of

from ctq.engines.verdicts.verdict import head_verdict

if TYPE_CHECKING:
    from pathlib import Path

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@each
def test_verdicts(case: HeadCase, tmp_path: Path) -> None:
    facts = facts_of(case.build(tmp_path / "model"))
    found = {engine: head_verdict(facts, engine).verdict for engine in ("vllm", "transformers", "sglang")}
    assert found == {"vllm": case.vllm, "transformers": case.transformers, "sglang": case.sglang}
    assert head_verdict(facts, "vllm", "0.32.0").verdict == case.vllm


@pytest.mark.slow
@each
def test_transformers_does_as_its_verdict_says(case: HeadCase, tmp_path: Path) -> None:
    # Garbage is memory as it was allocated: it may also fail, and a shape found there may even be right.
    allowed = {"garbage", "fails"} if case.transformers == "garbage" else {case.transformers}
    allowed |= {"quantized"} if "without its shape" in case.name else set()
    assert transformers_word(case, case.build(tmp_path / "model"), tmp_path) in allowed


def transformers_word(case: HeadCase, folder: Path, scratch: Path) -> str:
    """Load the checkpoint, run it, and see whether its head gives what the dense original's would."""
    import torch
    from transformers import AutoModelForCausalLM

    os.environ["HF_HUB_OFFLINE"] = "1"
    original = all_tensors(tiny_checkpoint(scratch / "original", tied=case.head == "tied"))
    weight = original.get("lm_head.weight", original["model.embed_tokens.weight"]).floats
    ids = torch.arange(24)[None]
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        with torch.no_grad():
            output = model(ids, output_hidden_states=True)  # the whole model: its first forward decompresses
    except (RuntimeError, AttributeError, ValueError, NotImplementedError):
        return "fails"
    expected = output.hidden_states[-1].float() @ torch.from_numpy(weight.copy()).T
    is_right = bool(((output.logits.float() - expected).norm() < 0.2 * expected.norm()).item())
    if not is_right:
        return "garbage"
    return "dense" if facts_of(folder).is_plain else "quantized"
