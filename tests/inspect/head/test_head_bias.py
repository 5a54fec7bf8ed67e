"""A bias of the head: vLLM's Transformers backend loads any that it meets, a class without one passes over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import edit_tensors, from_floats, rename_tensor
from inspecting import errors
from quantizing import quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint
from ctq.verify.engine_names import EngineName
from ctq.verify.report import Verdict
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify


@pytest.mark.parametrize(
    ("family", "rows", "codes"),
    [("smollm3", 128, ["TEN026"]), ("smollm3", 320, []), ("llama", 128, []), ("idefics3", 128, [])],
)
def test_a_bias_of_so_many_rows(
    family: str, rows: int, codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    quantize(checkpoint(family), tmp_path / "q")
    edit_tensors(
        tmp_path / "q",
        lambda tensors: tensors.update({"lm_head.bias": from_floats(np.zeros(rows, np.float32), "BF16")}),
    )
    report = inspect_checkpoint(open_checkpoint(LocalFolder(tmp_path / "q")), InspectOptions())
    assert [finding.code for finding in report.findings if finding.severity is Severity.ERROR] == codes
    request = VerifyRequest(checkpoint=tmp_path / "q", engines=(EngineName("builtin"),), tokens=4, workers=1)
    assert verify(request).verdict is (Verdict.FAIL if codes else Verdict.PASS)


@pytest.mark.parametrize(
    ("place", "codes"),
    [("model", set()), ("language_model", {"TEN024", "TEN025"}), ("model.text", {"TEN024", "TEN025"})],
)
def test_a_bias_vouches_for_no_head_in_another_place(
    place: str, codes: set[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("phi"), tmp_path / "m")
    for part in ("weight", "bias"):
        rename_tensor(folder, f"lm_head.{part}", f"{place}.lm_head.{part}")
    assert errors(folder) == codes
