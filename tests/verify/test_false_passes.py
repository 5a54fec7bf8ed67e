"""Checkpoints of which every header is right and whose serving would be garbage: none of them passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import breaking as do
import numpy as np
import pytest
from builders import edit_config, from_numpy, tiny_checkpoint, tiny_quantized
from quantizing import quantize

from ctq.verify.engine_names import EngineName
from ctq.verify.report import Verdict, VerifyReport
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

if TYPE_CHECKING:
    from pathlib import Path

UP = "model.layers.1.mlp.up_proj"
SCALE = f"{UP}.weight_scale"
NORM = "model.layers.0.input_layernorm.weight"


def run(folder: Path, **request: Any) -> VerifyReport:
    return verify(VerifyRequest(checkpoint=folder, engines=(EngineName("builtin"),), tokens=8, **request))


def said(report: VerifyReport) -> set[tuple[str, str]]:
    return {(finding.code, finding.where) for finding in report.findings}


VALUES: dict[str, tuple[do.Change, str, str, Verdict]] = {
    "a scale that is NaN": (do.one_scale(SCALE, float("nan")), "DEP001", SCALE, Verdict.FAIL),
    "a scale that is infinite": (do.one_scale(SCALE, float("inf")), "DEP001", SCALE, Verdict.FAIL),
    "a scale of zero": (do.one_scale(SCALE, 0.0), "DEP002", SCALE, Verdict.FAIL),
    "a negative scale": (do.one_scale(SCALE, -0.01), "DEP002", SCALE, Verdict.FAIL),
    "an absurd scale": (do.one_scale(SCALE, 1e30), "DEP003", SCALE, Verdict.FAIL),
    "a norm that is NaN": (do.put(NORM, do.floats(128, value=float("nan"))), "DEP006", NORM, Verdict.FAIL),
    "scales of nearly zero": (do.put(SCALE, do.floats(256, 1, value=1e-40)), "DEP005", SCALE, Verdict.INCONCLUSIVE),
    "weights of zero": (do.zeros(f"{UP}.weight"), "DEP005", f"{UP}.weight", Verdict.INCONCLUSIVE),
    "an embedding of zero": (
        do.zeros("model.embed_tokens.weight"),
        "DEP005",
        "model.embed_tokens.weight",
        Verdict.INCONCLUSIVE,
    ),
}


@pytest.mark.parametrize(("change", "code", "where", "verdict"), VALUES.values(), ids=VALUES)
def test_values_of_the_body_count_without_a_reference(
    tmp_path: Path, change: do.Change, code: str, where: str, verdict: Verdict
) -> None:
    folder = tiny_quantized(tmp_path / "m")
    change(folder)
    report = run(folder)
    assert (said(report), report.verdict) == ({(code, where)}, verdict)


def test_a_weight_that_was_meant_to_be_zero_is_settled_by_the_reference(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    do.zeros(f"{UP}.weight")(reference)
    quantize(reference, tmp_path / "m")
    assert run(tmp_path / "m").verdict is Verdict.INCONCLUSIVE
    assert run(tmp_path / "m", reference=reference).verdict is Verdict.PASS


CONFIGS: dict[str, do.Change] = {
    "rotary base": do.config(rope_theta=1e6),
    "epsilon": do.config(rms_norm_eps=1.0),
    "heads": do.config(num_attention_heads=8, num_key_value_heads=4, head_dim=16),
    "architecture": do.config(architectures=["MistralForCausalLM"], model_type="mistral"),
    "long context": do.config(rope_scaling={"rope_type": "linear", "factor": 8.0}),
}


@pytest.mark.parametrize("change", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("own", [True, False], ids=["ctq's", "another tool's"])
def test_right_weights_under_another_config_fail(tmp_path: Path, change: do.Change, own: bool) -> None:
    reference, folder = tiny_checkpoint(tmp_path / "r"), tmp_path / "m"
    do.config(rope_theta=10_000)(reference)
    if own:
        quantize(reference, folder)
    else:
        do.config(rope_theta=10_000)(tiny_quantized(folder))
    assert run(folder, reference=reference).verdict is Verdict.PASS
    change(folder)
    assert run(folder).verdict is Verdict.PASS  # only the reference tells
    assert said(run(folder, reference=reference)) == {("VER016", "config.json")}


def test_what_other_tools_write_anew_is_no_difference(tmp_path: Path) -> None:
    reference, folder = tiny_checkpoint(tmp_path / "r"), tiny_quantized(tmp_path / "m")
    do.config(rope_theta=10_000, torch_dtype="bfloat16", rope_scaling=None)(reference)
    rope = {"rope_theta": 10_000.0, "rope_type": "default"}
    do.config(rope_parameters=rope, transformers_version="5.0", use_cache=False, eos_token_id=[2, 3])(folder)
    edit_config(folder, lambda raw: raw.pop("hidden_act"))
    assert run(folder, reference=reference).verdict is Verdict.PASS


def test_a_tie_flag_or_tokenizer_of_a_result_of_ctq_that_was_changed(tmp_path: Path) -> None:
    reference, folder = tiny_checkpoint(tmp_path / "r"), tmp_path / "m"
    (reference / "tokenizer.json").write_text("{}")
    quantize(reference, folder)
    do.config(tie_word_embeddings=True)(folder)
    (folder / "tokenizer.json").write_text('{"model": 1}')
    assert said(run(folder, reference=reference)) == {("VER016", "config.json"), ("VER017", "tokenizer.json")}


def test_a_shape_that_is_not_the_originals(tmp_path: Path) -> None:
    folder, name = tiny_quantized(tmp_path / "m", kind="w8a16"), f"{UP}.weight_shape"
    do.put(name, lambda _: from_numpy(np.array([128, 256], np.int64)))(folder)
    assert ("VER018", name) in said(run(folder, reference=tiny_checkpoint(tmp_path / "r")))
