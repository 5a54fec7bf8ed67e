"""Whole verifications: who is asked, what is expected, and what the answers add up to."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

import breaking as do
import pytest
from builders import tiny_checkpoint, tiny_quantized
from quantizing import quantize

from ctq.cli.checked import check
from ctq.errors import CheckpointError, ExitCode
from ctq.verify.engine_names import EngineName
from ctq.verify.report import Status, Verdict, VerifyReport
from ctq.verify.request import VerifyRequest
from ctq.verify.result_check import check_result
from ctq.verify.run import engines_of, verify

if TYPE_CHECKING:
    from pathlib import Path

BUILTIN = (EngineName("builtin"),)


def run(folder: Path, **request: Any) -> VerifyReport:
    return verify(VerifyRequest(checkpoint=folder, **{"engines": BUILTIN, **request}))


def test_builtin_is_asked_by_default_and_vllm_where_one_is_named(tmp_path: Path) -> None:
    expected = ["builtin", "vllm"] if importlib.util.find_spec("vllm") else ["builtin"]
    assert [engine.name for engine in engines_of(VerifyRequest(checkpoint=tmp_path))] == expected
    named = VerifyRequest(checkpoint=tmp_path, vllm_python="/no/such/python")
    assert [engine.name for engine in engines_of(named)] == ["builtin", "vllm"]
    only = VerifyRequest(checkpoint=tmp_path, engines=(EngineName("transformers"),))
    assert [engine.name for engine in engines_of(only)] == ["transformers"]


LOST = "model.layers.0.self_attn.q_proj.bias"


@pytest.mark.parametrize(
    ("head", "change", "expected"),
    [
        ("quantized", None, "quantized"),
        ("dense", None, "dense"),
        ("tied", None, "dense"),
        ("tied", do.ignore(), "dense"),  # the class Linear reaches no head that has no tensors
        ("tied", do.steps(do.ignore(), do.targets("re:.*lm_head$", "Linear")), "quantized"),
        ("dense", do.ignore(), "quantized"),  # `Linear` reaches a head by compressed-tensors' own matching
        ("quantized", do.ignore("lm_head"), "dense"),
    ],
)
def test_the_config_declares_what_is_expected(tmp_path: Path, head: Any, change: Any, expected: str) -> None:
    folder = tiny_quantized(tmp_path / "m", head=head)
    if change is not None:
        change(folder)
    assert run(folder).expected == expected


@pytest.mark.parametrize(
    ("head", "change", "verdict"),
    [
        ("quantized", None, Verdict.PASS),
        ("dense", None, Verdict.PASS),
        ("tied", None, Verdict.PASS),
        ("quantized", do.targets("Linear"), Verdict.FAIL),
        ("quantized", do.ignore("lm_head"), Verdict.FAIL),
        ("dense", do.ignore(), Verdict.FAIL),
        ("quantized", do.drop("lm_head.weight_scale"), Verdict.FAIL),
        ("quantized", do.drop_where("layers.1.self_attn.k_proj"), Verdict.FAIL),
    ],
)
def test_verdicts_without_any_options(tmp_path: Path, head: Any, change: Any, verdict: Verdict) -> None:
    folder = tiny_quantized(tmp_path / "m", head=head)
    if change is not None:
        change(folder)
    assert run(folder).verdict is verdict


@pytest.mark.parametrize("expert", ["model.layers.1.mlp.experts.2.", "model.layers.0.mlp.experts.3.up_proj"])
def test_a_missing_expert_fails(checkpoint: Any, tmp_path: Path, expert: str) -> None:
    import shutil

    from rtn_family import quantize_family

    folder = quantize_family(checkpoint("qwen3-moe"), tmp_path / "m")
    assert run(folder).verdict is Verdict.PASS
    broken = shutil.copytree(folder, tmp_path / "broken")
    do.drop_where(expert)(broken)
    assert run(broken).verdict is Verdict.FAIL


def test_findings_of_the_files_count_whatever_engines_say(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.drop_where("layers.1.self_attn.k_proj")(folder)
    found = run(folder)
    assert [(item.code, item.severity) for item in found.findings] == [("TEN020", "error")]


def test_opinions_about_engines_are_left_to_those_that_were_asked(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.targets("Linear")(folder)
    found = run(folder)
    assert found.findings == ()
    assert found.engines[0].status is Status.FAIL


def test_an_engine_that_cannot_be_asked_makes_it_inconclusive(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    engines = (*BUILTIN, EngineName("vllm"))
    found = run(folder, engines=engines, vllm_python=str(tmp_path / "python"))
    assert (found.verdict, found.exit_code) == (Verdict.INCONCLUSIVE, ExitCode.FAILED)
    assert "no such interpreter" in (found.engines[1].error or "")


def test_with_a_reference_everything_is_in_one_report(tmp_path: Path) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    quantize(reference, tmp_path / "m")
    found = run(tmp_path / "m", reference=reference)
    assert found.verdict is Verdict.PASS
    assert [item.against for item in found.numeric.logits] == ["dequantized", "reference"]
    assert found.numeric.weights is not None
    assert found.numeric.weights.recomputed
    json.dumps(found.to_json(), allow_nan=False)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.truncate(folder)
    with pytest.raises(CheckpointError):
        run(folder)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (do.remove("model.safetensors.index.json"), Verdict.PASS),
        (do.index(lambda index: index["weight_map"].pop("model.norm.weight")), Verdict.PASS),
        (do.duplicate, Verdict.PASS),
        (do.index(lambda index: index["weight_map"].update(extra=min(index["weight_map"].values()))), Verdict.PASS),
        (do.index(lambda index: index["weight_map"].update({LOST: min(index["weight_map"].values())})), Verdict.FAIL),
    ],
    ids=["no index", "tensor not in the index", "tensor twice", "strange tensor lost", "tensor lost"],
)
def test_files_that_disagree_are_judged_as_inspection_judges_them(
    tmp_path: Path, change: Any, verdict: Verdict
) -> None:
    folder = tiny_quantized(tmp_path / "m")
    change(folder)
    assert run(folder).verdict is verdict


def test_the_check_of_a_fresh_result(tmp_path: Path) -> None:
    quantize(tiny_checkpoint(tmp_path / "r"), tmp_path / "m")
    found = check_result(tmp_path / "m", head_quantized=True)
    assert (found.verdict, len(found.engines)) == (Verdict.PASS, 1)
    assert check_result(tmp_path / "m", head_quantized=False).verdict is Verdict.FAIL


def test_the_check_in_one_line_and_as_json(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "m")
    good = check(folder, head_quantized=True)
    assert good.exit_code is ExitCode.GOOD
    assert good.line.startswith(
        "pass: the head is quantized, as expected (dispatch of vLLM 0.33.0; logits: cosine 0.99"
    )
    assert good.summary["verdict"] == "pass"
    do.config(architectures=["BrandNewForCausalLM"], model_type="brand_new")(folder)
    unknown = check(folder, head_quantized=True)
    assert (unknown.exit_code, unknown.summary["verdict"]) == (ExitCode.GOOD, "inconclusive")
    assert unknown.line.startswith("inconclusive: no answer from builtin 0.33.0")
    do.config(architectures=["LlamaForCausalLM"], model_type="llama")(folder)
    do.targets("Linear")(folder)
    bad = check(folder, head_quantized=True)
    assert bad.exit_code is ExitCode.NOT_GOOD
    assert "the head is not quantized: no target matches the head" in bad.line
    json.dumps(bad.summary)
