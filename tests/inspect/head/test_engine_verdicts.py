"""What engines make of the head reaches the report: the right engines, releases and severities, one finding at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import breaking as do
import pytest
from builders import rename_tensor, tiny_quantized

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.engines.verdicts.verdict import ENGINES, newest_version
from ctq.errors import UsageError
from ctq.findings import Severity
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, Report, inspect_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def inspect(folder: Path, *engines: str) -> Report:
    requests = tuple(EngineRequest(*engine.split("==")) for engine in engines)
    return inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions(engines=requests))


TENSORS = ("TEN024", "TEN025", "TEN026")
"""Findings of a test's own making: the tensors of a Llama under the names of other architectures."""


def grave(report: Report) -> list[tuple[str, str]]:
    return [
        (finding.code, str(finding.severity))
        for finding in report.findings
        if finding.severity is not Severity.NOTE and finding.code not in TENSORS
    ]


def verdicts(report: Report) -> dict[str, str]:
    return {f"{verdict.engine} {verdict.version}": verdict.outcome.verdict for verdict in report.facts.engines}


def test_the_newest_release_of_every_engine_is_asked(tmp_path: Path) -> None:
    report = inspect(tiny_quantized(tmp_path))
    assert verdicts(report) == {f"{engine} {newest_version(engine)}": "quantized" for engine in ENGINES}
    assert ENGINES[0] == "vllm", "the one whose refusals are errors"


def test_only_the_engines_that_were_asked_for_are_judged(tmp_path: Path) -> None:
    report = inspect(tiny_quantized(tmp_path), "vllm==0.19.1", "vllm==0.32.0", "vllm==0.32.0")
    assert verdicts(report) == {"vllm 0.19.1": "fails", "vllm 0.32.0": "quantized"}
    assert grave(report) == [("HED010", "error")]
    [finding] = [finding for finding in report.findings if finding.code == "HED010"]
    assert "vllm 0.19.1 refuses this head" in finding.message


MODEL_TYPES = {
    "GptOssForCausalLM": "gpt_oss",
    "OPTForCausalLM": "opt",
    "Qwen3NextForCausalLM": "qwen3_next",
    "Gemma2ForCausalLM": "gemma2",
    "CohereForCausalLM": "cohere",
}


@pytest.mark.parametrize("architecture", MODEL_TYPES)
def test_architectures_that_cannot_dispatch_a_head_are_errors(architecture: str, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, kind="w8a16")
    do.config(architectures=[architecture], model_type=MODEL_TYPES[architecture])(folder)
    report = inspect(folder)
    assert [code for code, _ in grave(report) if code.startswith("HED")] == ["HED010"]
    assert architecture in str(report.findings)


@pytest.mark.parametrize("architecture", ["OPTForCausalLM", "CohereForCausalLM"])
def test_the_same_architectures_are_healthy_with_a_dense_head(architecture: str, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, head="dense")
    do.config(architectures=[architecture], model_type=MODEL_TYPES[architecture])(folder)
    assert grave(inspect(folder)) == []


def test_an_engine_that_nobody_asked_for_only_warns(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, kind="fp8-block")
    assert grave(inspect(folder)) == [("HED010", "warning")]
    assert grave(inspect(folder, "sglang")) == [("HED010", "error")]
    assert grave(inspect(folder, "vllm", "transformers")) == []


def test_a_plain_name_that_engines_do_not_use_is_an_error(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    do.config(architectures=["GPT2LMHeadModel"], model_type="gpt2")(folder)
    do.targets("lm_head", "Linear")(folder)
    assert grave(inspect(folder)) == [("HED007", "error")]
    do.targets("re:.*lm_head$", "Linear")(folder)
    assert grave(inspect(folder)) == []


def test_the_tie_flag_is_judged_by_release(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    do.config(tie_word_embeddings=True)(folder)
    assert grave(inspect(folder)) == [("HED006", "warning")]
    assert grave(inspect(folder, "vllm==0.28.0")) == [("HED006", "error")]
    assert grave(inspect(folder, "vllm==0.29.0")) == [("HED006", "warning")]


def test_a_head_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    do.drop("lm_head.weight", "lm_head.weight_scale")(folder)
    report = inspect(folder)
    assert report.facts.head.state == "absent"
    assert grave(report) == [("HED010", "error")]


def test_the_class_target_reaches_heads_without_a_name(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    routing = {
        "n_group": 1,
        "topk_group": 1,
        "route_norm": True,
        "score_func": "sigmoid",
    }  # what its class cannot do without
    do.config(architectures=["AfmoeForCausalLM"], model_type="afmoe", **routing)(folder)
    assert ("HED010", "error") in grave(inspect(folder, "vllm"))
    do.targets("re:.*lm_head$", "ParallelLMHead", "Linear")(folder)
    assert ("HED010", "error") not in grave(inspect(folder, "vllm"))


def test_the_class_target_alone_is_a_warning(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    do.targets("ParallelLMHead", "re:.*proj$")(folder)
    assert grave(inspect(folder, "vllm")) == [("HED003", "warning")]


def test_multimodal_heads_are_judged_under_the_name_that_engines_give_them(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path)
    for part in ("weight", "weight_scale"):
        rename_tensor(folder, f"lm_head.{part}", f"language_model.lm_head.{part}")
    text = {"model_type": "llama", "vocab_size": 320, "hidden_size": 128}
    do.config(architectures=["LlavaForConditionalGeneration"], model_type="llava", text_config=text)(folder)
    report = inspect(folder, "vllm")
    assert verdicts(report) == {f"vllm {newest_version('vllm')}": "quantized"}
    do.targets("language_model.lm_head", "Linear")(folder)
    assert verdicts(inspect(folder, "vllm")) == verdicts(report)


@pytest.mark.parametrize(
    ("engine", "words"), [("llama.cpp", "no engine 'llama.cpp'"), ("vllm==latest", "not a version number")]
)
def test_unknown_engines_and_versions_are_refused(engine: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        inspect(tiny_quantized(tmp_path), engine)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (do.ignore("Linear"), "HED002"),
        (do.ignore("Linear"), "TEN005"),
        (do.quantization(lambda raw: raw["config_groups"]["group_0"].update(targets=["ParallelLMHead"])), "HED001"),
        (do.quantization(lambda raw: raw["config_groups"]["group_1"].update(targets=["re:.*(q|v|o|gate|up|down)_proj$"])), "TEN004"),
    ],
)  # fmt: skip
def test_what_vllm_serves_by_its_own_way_of_matching_is_a_warning(
    change: Callable[[Path], object], code: str, tmp_path: Path
) -> None:
    folder = tiny_quantized(tmp_path)
    change(folder)
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)))
    found = {finding.code: finding.severity for finding in report.findings if finding.severity is not Severity.NOTE}
    assert found[code] is Severity.WARNING
    assert Severity.ERROR not in found.values()
