"""transformers as an engine: the real library, once in a process of its own, else here, where it is imported already."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import breaking as do
import pytest
from builders import tiny_checkpoint, tiny_quantized
from families import build
from sweep_quantize import quantize_as

from ctq.verify.engine_names import EngineName
from ctq.verify.engines.transformers import worker
from ctq.verify.engines.transformers.engine import answer_of, ask_transformers, job_of
from ctq.verify.report import EngineAnswer, Status
from ctq.verify.request import VerifyRequest
from ctq.verify.subject import Subject, open_subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENGINE = EngineName("transformers")


def subject(folder: Path, **request: Any) -> Subject:
    return open_subject(VerifyRequest(checkpoint=folder, tokens=16, device="cpu", **request))


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., EngineAnswer]:
    """Ask the worker in this process."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "1")

    def answer(folder: Path, **request: Any) -> EngineAnswer:
        asked = subject(folder, **request)
        (tmp_path / "request").write_text(json.dumps(job_of(asked)))
        worker.main(tmp_path / "request", tmp_path / "answer")
        return answer_of(json.loads((tmp_path / "answer").read_text()), asked)

    return answer


def test_a_quantized_head_loads_and_agrees_with_the_reference(tmp_path: Path) -> None:
    asked = subject(tiny_quantized(tmp_path / "m"), reference=tiny_checkpoint(tmp_path / "r"))
    answer = ask_transformers(ENGINE, asked)
    found = answer.report
    assert (found.status, found.error, found.scheme, found.missing) == (Status.PASS, None, "W8A8", ())
    (run,) = answer.runs
    assert (run.of, run.against, run.compared.tokens) == ("model", "reference", 16)
    assert run.compared.cosine > 0.98


def test_a_package_that_is_missing_is_no_fault_of_the_checkpoint(
    tmp_path: Path, ask: Callable[..., EngineAnswer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "compressed_tensors.quantization", None)
    found = ask(tiny_quantized(tmp_path / "m")).report
    assert found.status is Status.UNAVAILABLE
    assert "a package that loading it needs is not installed: ModuleNotFoundError" in str(found.error)


def test_a_dense_head_is_seen_as_dense_and_token_ids_are_taken(
    tmp_path: Path, ask: Callable[..., EngineAnswer]
) -> None:
    folder, reference = tiny_quantized(tmp_path / "m", head="dense"), tiny_checkpoint(tmp_path / "r")
    answer = ask(folder, expected="quantized", reference=reference, token_ids=(1, 5, 9))
    assert (answer.report.status, answer.report.error) == (
        Status.FAIL,
        "the head is not quantized: it is a dense Linear",
    )
    assert answer.runs[0].compared.tokens == 3


def test_a_quantized_head_where_a_dense_one_is_expected(tmp_path: Path, ask: Callable[..., EngineAnswer]) -> None:
    found = ask(tiny_quantized(tmp_path / "m", kind="w8a16"), expected="dense").report
    assert (found.status, found.error) == (Status.FAIL, "the head is quantized: W8A16")


def test_another_models_reference_fails(tmp_path: Path, ask: Callable[..., EngineAnswer]) -> None:
    found = ask(tiny_quantized(tmp_path / "m"), reference=tiny_checkpoint(tmp_path / "r", seed=1)).report
    assert found.status is Status.FAIL
    assert "logits differ from the reference's" in (found.error or "")


def test_a_missing_tensor_is_named(tmp_path: Path, ask: Callable[..., EngineAnswer]) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.drop("model.layers.1.mlp.up_proj.weight_scale")(folder)
    found = ask(folder).report
    assert found.status is Status.FAIL
    assert "model.layers.1.mlp.up_proj.weight_scale" in found.never_loaded


def test_a_head_that_is_ignored_yet_quantized_fails(tmp_path: Path, ask: Callable[..., EngineAnswer]) -> None:
    folder = tiny_quantized(tmp_path / "m")
    do.ignore("lm_head")(folder)
    assert ask(folder).report.status is Status.FAIL


def test_a_reference_that_does_not_load_leaves_the_question_open(
    tmp_path: Path, ask: Callable[..., EngineAnswer]
) -> None:
    reference = tiny_checkpoint(tmp_path / "r")
    do.config(model_type="no-such-model", architectures=["NoSuchModel"])(reference)
    found = ask(tiny_quantized(tmp_path / "m"), reference=reference).report
    assert found.status is Status.UNAVAILABLE
    assert "the reference does not load" in (found.error or "")


def test_a_time_limit_leaves_the_question_open(tmp_path: Path) -> None:
    found = ask_transformers(ENGINE, subject(tiny_quantized(tmp_path / "m"), timeout_s=0.2)).report
    assert found.status is Status.UNAVAILABLE
    assert "no answer within 0.2 s" in (found.error or "")


def test_another_version_is_not_taken_for_the_one_asked_for(tmp_path: Path) -> None:
    found = ask_transformers(EngineName("transformers", "4.0"), subject(tiny_quantized(tmp_path / "m"))).report
    assert found.status is Status.UNAVAILABLE
    assert "4.0 was asked for" in (found.error or "")


@pytest.mark.filterwarnings("ignore")
def test_a_refusal_that_points_to_a_log_comes_with_what_is_known_of_it(
    tmp_path: Path, ask: Callable[..., EngineAnswer]
) -> None:
    made = quantize_as("W8A8", build("qwen3-moe", tmp_path / "dense"), tmp_path / "q")
    found = ask(made.folder).report
    assert found.status is Status.FAIL
    assert (found.error or "").startswith("transformers merges the experts of a layer while it loads them")
    assert "RuntimeError: " in (found.error or "")
