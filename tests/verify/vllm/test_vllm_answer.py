"""From what the real vLLM showed to an engine report: every field, without the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from builders import tiny_quantized

from ctq.verify.comparison import LogitsComparison
from ctq.verify.engine_names import EngineName
from ctq.verify.engines.vllm.engine import answer_of, ask_vllm
from ctq.verify.engines.vllm.facts import Engine, Head, HeadRun, Outcome, Parameter, Refusal, VllmResult
from ctq.verify.report import Status
from ctq.verify.request import VerifyRequest
from ctq.verify.subject import Subject, open_subject

if TYPE_CHECKING:
    from pathlib import Path

SCALE = Parameter(name="lm_head.weight_scale", dtype="float32", shape=(320, 1), elements=320, loaded=320)
HEAD = Head(
    name="lm_head",
    prefix="lm_head",
    quantized=True,
    quant_method="CompressedTensorsLinearMethod",
    scheme="CompressedTensorsW8A8Int8",
    kernel="CutlassInt8ScaledMMLinearKernel",
    tied_to=None,
    parameters=(SCALE,),
)
RUN = HeadRun(
    device="cuda", kernel="K", exercised=True, seconds=0.5, compared=LogitsComparison(
        tokens=64, rows=320, cosine=0.9999, slope=1.0, relative_error=0.01, top1=1.0, kl=None, finite=True,
    ),
)  # fmt: skip
GPU = Engine(version="0.32.0", torch="2.13.0", device="cuda", device_name="NVIDIA H100")
HEALTHY = VllmResult(outcome=Outcome.LOADED, engine=GPU, heads=(HEAD,), head_run=RUN)
QUERY = replace(SCALE, name="model.layers.0.self_attn.qkv_proj.weight", elements=100, loaded=75)


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    return open_subject(VerifyRequest(checkpoint=tiny_quantized(tmp_path / "m")))


def test_a_healthy_head(subject: Subject) -> None:
    answer = answer_of(HEALTHY, subject, None)
    report = answer.report
    assert (report.engine, report.version, report.device, report.status) == (
        "vllm",
        "0.32.0",
        "NVIDIA H100",
        Status.PASS,
    )
    assert (report.quant_method, report.scheme, report.kernel) == (HEAD.quant_method, HEAD.scheme, "K")
    assert (report.missing, report.unexpected, report.never_loaded, report.error) == ((), (), (), None)
    (run,) = answer.runs
    assert (run.of, run.against, run.compared, run.exercised) == ("head", "dequantized", RUN.compared, True)


def test_a_stand_in_is_named_and_noted(subject: Subject) -> None:
    result = replace(HEALTHY, head_run=replace(RUN, exercised=False), stand_ins={"WNA16": 1})
    answer = answer_of(result, subject, None)
    assert (answer.report.status, answer.report.kernel) == (Status.PASS, "K (stand-in)")
    assert "kernels were not exercised" in answer.findings[0].message


def test_what_was_not_loaded_is_listed(subject: Subject) -> None:
    head = replace(HEAD, parameters=(replace(SCALE, loaded=0),))
    result = replace(
        HEALTHY, heads=(head,), never_loaded=(replace(SCALE, loaded=0),), partly_loaded=(QUERY,), unused=("x",)
    )
    report = answer_of(result, subject, None).report
    assert report.status is Status.FAIL
    assert (report.missing, report.unexpected) == (("lm_head.weight_scale",), ("x",))
    assert report.never_loaded == ("lm_head.weight_scale", QUERY.name)


def test_what_the_dense_original_leaves_unloaded_too_is_no_fault(subject: Subject) -> None:
    result = replace(HEALTHY, partly_loaded=(QUERY,))
    report = answer_of(result, subject, replace(HEALTHY, partly_loaded=(QUERY,))).report
    assert (report.status, report.never_loaded) == (Status.PASS, ())


def test_a_refusal_names_the_tensor(subject: Subject) -> None:
    error = Refusal(stage="load", type="ValueError", message="no module named", unexpected="lm_head.weight_scale")
    report = answer_of(VllmResult(outcome=Outcome.REFUSED, engine=GPU, error=error), subject, None).report
    assert (report.status, report.unexpected) == (Status.FAIL, ("lm_head.weight_scale",))
    assert "vLLM 0.32.0 refuses the tensors" in (report.error or "")


def test_a_worker_that_died_decides_nothing(subject: Subject) -> None:
    error = Refusal(stage="process", type="", message="the worker died: killed by SIGKILL")
    report = answer_of(VllmResult(outcome=Outcome.CRASHED, engine=GPU, error=error), subject, None).report
    assert report.status is Status.UNAVAILABLE
    assert "killed by SIGKILL" in (report.error or "")


def test_an_interpreter_without_vllm_is_an_answer(tmp_path: Path) -> None:
    request = VerifyRequest(checkpoint=tiny_quantized(tmp_path / "m"), vllm_python="/no/such/python")
    report = ask_vllm(EngineName("vllm"), open_subject(request)).report
    assert report.status is Status.UNAVAILABLE
    assert "pip install vllm" in (report.error or "")
