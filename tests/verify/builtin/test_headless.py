"""Models without a head in the builtin engine: they pass where there is nothing else against them."""

from __future__ import annotations

from pathlib import Path

from builders import drop_tensor, edit_config, tiny_quantized

from ctq.verify.engine_names import parse_engine
from ctq.verify.engines.builtin.engine import ask_builtin
from ctq.verify.report import EngineReport, Status
from ctq.verify.request import VerifyRequest
from ctq.verify.subject import open_subject


def answer(folder: Path) -> EngineReport:
    return ask_builtin(parse_engine("builtin"), open_subject(VerifyRequest(checkpoint=folder))).report


def test_a_model_without_a_head_that_no_loader_knows_does_not_pass(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m", head="dense")
    drop_tensor(folder, "lm_head.weight")
    edit_config(folder, lambda config: config.update(architectures=["LlamaForSequenceClassification"]))
    assert answer(folder).status is Status.PASS
    edit_config(folder, lambda config: config.update(architectures=["PaliGemmaForRewardModel"]))
    found = answer(folder)
    assert found.status is Status.FAIL
    assert found.error is not None
    assert "no loader knows the architecture" in found.error
