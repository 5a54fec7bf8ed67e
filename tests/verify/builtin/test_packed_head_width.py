"""The width of a packed head where the config gives none: words hold several weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from builders import edit_config
from quantizing import quantize
from sweep_claims import VLLM

from ctq.recipe.recipe import Recipe
from ctq.recipe.schemes import SCHEMES
from ctq.verify.engine_names import EngineName
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

CheckpointFactory = Callable[..., Path]


def test_a_packed_head_is_as_wide_as_its_words_hold(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llama"), tmp_path / "out", Recipe(lm_head=True, lm_head_scheme=SCHEMES["W8A16"]))
    edit_config(tmp_path / "out", lambda config: config.update(model_type="unheard", dim=config.pop("hidden_size")))
    report = verify(VerifyRequest(checkpoint=tmp_path / "out", engines=(EngineName("builtin", VLLM),)))
    assert [engine.error for engine in report.engines] == [None]
    assert report.engines[0].status == "pass"
