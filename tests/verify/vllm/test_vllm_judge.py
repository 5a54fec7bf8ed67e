"""Every reason for which the real engine's answer is a pass, a fail or no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ctq.verify.comparison import LogitsComparison
from ctq.verify.engines.vllm.facts import (
    Conversion,
    Engine,
    Head,
    HeadRun,
    Outcome,
    Parameter,
    PartlyRead,
    Refusal,
    VllmResult,
)
from ctq.verify.engines.vllm.judge import judge, main_head
from ctq.verify.report import Status

ENGINE = Engine(version="0.32.0", torch="2.13.0", device="cpu", device_name="cpu")
QUANTIZED = Head(
    name="lm_head",
    prefix="lm_head",
    quantized=True,
    quant_method="CompressedTensorsLinearMethod",
    scheme="CompressedTensorsW8A8Int8",
    kernel="CPUInt8ScaledMMLinearKernel",
    tied_to=None,
    parameters=(),
)
DENSE = replace(QUANTIZED, quantized=False, quant_method="UnquantizedEmbeddingMethod", scheme="", kernel="")
TIED = replace(DENSE, tied_to="model.embed_tokens.weight")
HEALTHY = VllmResult(outcome=Outcome.LOADED, engine=ENGINE, architecture="LlamaForCausalLM", heads=(QUANTIZED,))
SCALE = Parameter(name="lm_head.weight_scale", dtype="float32", shape=(320, 1), elements=320, loaded=0)
QKV = Parameter(name="model.layers.0.qkv_proj.weight", dtype="int8", shape=(256, 128), elements=32768, loaded=24576)
RUN = HeadRun(
    device="cpu",
    kernel="K",
    exercised=True,
    compared=LogitsComparison(
        tokens=64, rows=320, cosine=0.9999, slope=0.997, relative_error=0.012, top1=1.0, kl=None, finite=True
    ),
    seconds=0.1,
)


def run_with(**changes: Any) -> HeadRun:
    return replace(RUN, compared=replace(RUN.compared, **changes))


@pytest.mark.parametrize("expected", [True, None])
def test_a_healthy_load_passes(expected: bool | None) -> None:
    assert judge(HEALTHY, expect_head_quantized=expected).status is Status.PASS


@pytest.mark.parametrize(
    ("facts", "expected", "reason"),
    [
        (replace(HEALTHY, heads=(DENSE,)), True, "not quantized: lm_head has UnquantizedEmbeddingMethod"),
        (replace(HEALTHY, heads=(TIED,)), True, "tied to model.embed_tokens.weight"),
        (replace(HEALTHY, heads=()), True, "LlamaForCausalLM has no ParallelLMHead"),
        (
            HEALTHY,
            False,
            "the head is quantized: lm_head has CompressedTensorsLinearMethod with CompressedTensorsW8A8Int8",
        ),
        (replace(HEALTHY, never_loaded=(SCALE,)), True, "never loaded, so served uninitialised: lm_head.weight_scale"),
        (replace(HEALTHY, partly_loaded=(QKV,)), None, "qkv_proj.weight (24576 of 32768 elements)"),
        (
            replace(
                HEALTHY, converted=(Conversion(name="lm_head.weight", source="bfloat16", target="int8", tensors=()),)
            ),
            True,
            "lm_head.weight (bfloat16 into int8)",
        ),
        (
            replace(HEALTHY, heads=(DENSE,), unused=("lm_head.weight_scale",), unused_count=1),
            False,
            "tensors of a quantized head are in the files and ignored: lm_head.weight_scale",
        ),
        (replace(HEALTHY, head_run=run_with(slope=845.0)), True, "slope 845"),
        (replace(HEALTHY, head_run=run_with(cosine=0.5)), True, "cosine 0.5"),
        (replace(HEALTHY, head_run=run_with(relative_error=0.36)), True, "relative error 0.36"),
        (replace(HEALTHY, head_run=run_with(finite=False)), True, "not finite"),
        (
            replace(HEALTHY, head_error=Refusal(stage="head", type="RuntimeError", message="no kernel image")),
            True,
            "the head does not run: no kernel image",
        ),
    ],
)
def test_each_fault_fails_with_its_reason(facts: VllmResult, expected: bool | None, reason: str) -> None:
    judgement = judge(facts, expect_head_quantized=expected)
    assert judgement.status is Status.FAIL
    assert reason in "; ".join(judgement.reasons)


@pytest.mark.parametrize("head", [DENSE, TIED])
def test_a_dense_head_passes_where_it_is_expected(head: Head) -> None:
    assert judge(replace(HEALTHY, heads=(head,)), expect_head_quantized=False).status is Status.PASS


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("config", "refuses the configuration: no"),
        ("build", "cannot build the model: no"),
        ("load", "tensors (at a.b): no"),
    ],
)
def test_a_refusal_fails_and_says_where(stage: str, words: str) -> None:
    error = Refusal(stage=stage, type="ValueError", message="no", tensor="a.b")
    judgement = judge(replace(HEALTHY, outcome=Outcome.REFUSED, error=error), expect_head_quantized=None)
    assert judgement.status is Status.FAIL
    assert words in judgement.reasons[0]


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.UNDECIDED])
def test_no_answer_is_neither_good_nor_bad(outcome: Outcome) -> None:
    error = Refusal(stage="process", type="", message="the worker died: killed by SIGKILL")
    judgement = judge(replace(HEALTHY, outcome=outcome, error=error), expect_head_quantized=True)
    assert judgement.status is Status.UNAVAILABLE
    assert "killed by SIGKILL" in judgement.reasons[0]


def test_what_the_dense_original_leaves_unloaded_is_excused() -> None:
    odd = replace(SCALE, name="model.never_used")
    facts = replace(HEALTHY, never_loaded=(odd, SCALE))
    judgement = judge(facts, expect_head_quantized=True, baseline=replace(HEALTHY, never_loaded=(odd,)))
    assert judgement.reasons == ("never loaded, so served uninitialised: lm_head.weight_scale",)


def test_what_is_refused_dense_as_well_cannot_be_judged() -> None:
    error = Refusal(
        stage="build", type="AttributeError", message="no attribute 'x'", place="models/voxtral.py:327 __init__"
    )
    refused = replace(HEALTHY, outcome=Outcome.REFUSED, error=error)
    alike = judge(refused, expect_head_quantized=True, baseline=replace(refused))
    assert alike.status is Status.UNAVAILABLE
    assert "refuses the dense original for the same reason: no attribute 'x'" in alike.reasons[0]
    other = replace(refused, error=replace(error, place="models/utils.py:448 _load_module"))
    assert judge(refused, expect_head_quantized=True, baseline=other).status is Status.FAIL
    assert judge(refused, expect_head_quantized=True, baseline=HEALTHY).status is Status.FAIL


def test_a_tensor_that_is_cut_to_size_fails_unless_the_dense_original_is_cut_too() -> None:
    cut = PartlyRead(name="model.layers.0.mlp.down_proj.weight_scale", elements=256, read=128)
    facts = replace(HEALTHY, partly_read=(cut,))
    assert "down_proj.weight_scale (128 of 256 elements)" in judge(facts, expect_head_quantized=True).reasons[0]
    assert judge(facts, expect_head_quantized=True, baseline=facts).status is Status.PASS


@pytest.mark.parametrize(("dtype", "status"), [("bfloat16", Status.FAIL), ("int8", Status.PASS)])
def test_a_quantized_head_on_the_weight_of_the_embedding_fails(dtype: str, status: Status) -> None:
    weight = Parameter(name="weight", dtype=dtype, shape=(320, 128), elements=40960, loaded=40960)
    head = replace(QUANTIZED, parameters=(weight, replace(SCALE, loaded=320)), tied_to="model.embed_tokens.weight")
    judgement = judge(replace(HEALTHY, heads=(head,)), expect_head_quantized=True)
    assert judgement.status is status, judgement


def test_stand_ins_and_unused_tensors_are_noted() -> None:
    facts = replace(HEALTHY, stand_ins={"Machete or Marlin": 9}, unused=("a", "b", "c", "d"), unused_count=4)
    first, second = judge(facts, expect_head_quantized=True).notes
    assert "not exercised: Machete or Marlin (9 layers)" in first
    assert second == "4 tensors are in the files and not used: a, b, c and 1 more"


def test_the_main_head_is_the_one_nested_least() -> None:
    inner = replace(DENSE, name="draft.shared_head.head")
    outer = replace(QUANTIZED, name="language_model.lm_head")
    assert main_head((inner, outer)) is outer
    assert main_head(()) is None


@pytest.mark.parametrize(("codes", "status"), [("weight_packed", Status.PASS), ("", Status.FAIL)])
def test_the_embeddings_weight_takes_the_place_of_codes_of_its_name_alone(codes: str, status: Status) -> None:
    weight = replace(SCALE, name="lm_head.weight", dtype="bfloat16", loaded=320)
    packed = replace(SCALE, name=f"lm_head.{codes}", dtype="int32", loaded=320)
    parameters = (weight, replace(SCALE, loaded=320), *([packed] if codes else []))
    shared = replace(QUANTIZED, tied_to="model.embed_tokens.weight", parameters=parameters)
    assert judge(replace(HEALTHY, heads=(shared,)), expect_head_quantized=True).status is status
