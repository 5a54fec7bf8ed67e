"""Architectures whose name ends otherwise than vLLM registers it: it looks for each usual ending, as the real 0.32.0 was seen to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.facts.engines import EngineRequest
from ctq.inspect.report import InspectOptions, Report, inspect_checkpoint

CheckpointFactory = Callable[..., Path]
Inspected = Callable[..., Report]


@pytest.fixture
def inspected(checkpoint: CheckpointFactory, tmp_path: Path) -> Inspected:
    return lambda family, *named: _inspected(shutil.copytree(checkpoint(family), tmp_path / "own"), *named)


def _inspected(folder: Path, *architectures: str) -> Report:
    edit_config(folder, lambda config: config.update(architectures=list(architectures)))
    return inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())


def errors(report: Report) -> set[str]:
    return {finding.code for finding in report.findings if finding.severity is Severity.ERROR}


@pytest.mark.parametrize(
    ("family", "named", "taken"),
    [
        ("llama", ["LlamaLMHeadModel"], "LlamaForCausalLM"),
        ("llama", ["LlamaForConditionalGeneration"], "LlamaForCausalLM"),
        ("llama", ["Nobodys", "LlamaChatModel"], "LlamaForCausalLM"),
        ("llama", ["LlamaLMHeadModel", "GPT2LMHeadModel"], "LlamaForCausalLM"),
        ("llama", ["CTRLLMHeadModel", "LlamaLMHeadModel"], "LlamaForCausalLM"),
        ("gpt2", ["GPT2ForCausalLM"], "GPT2LMHeadModel"),
        ("llava", ["LlavaLMHeadModel"], "LlavaForConditionalGeneration"),
    ],
)
def test_another_ending_is_corrected(inspected: Inspected, family: str, named: list[str], taken: str) -> None:
    report = inspected(family, *named)
    assert errors(report) == set()
    assert report.facts.config.architecture == taken


def test_the_corrected_class_is_what_the_tensors_are_held_against(inspected: Inspected) -> None:
    assert "TEN024" in errors(inspected("llama", "GPT2ForCausalLM"))


@pytest.mark.parametrize("named", ["LlamaRewardModel", "LlamaForTextEncoding"])
def test_an_ending_that_pools_is_known(inspected: Inspected, named: str) -> None:
    assert errors(inspected("llama", named)) == set()


@pytest.mark.parametrize(
    ("family", "named"),
    [("llama", "llamaForCausalLM"), ("llama", "LlamaForCausalLMLMHeadModel"), ("gpt-neox", "GPTNeoXLMHeadModel")],
)
def test_other_names_stay_unknown(inspected: Inspected, family: str, named: str) -> None:
    assert "CFG020" in errors(inspected(family, named))


def test_a_wrapper_of_a_text_models_type_is_an_error(inspected: Inspected) -> None:
    assert "CFG022" in errors(inspected("gemma3", "Gemma3ForConditionalGeneration"))


@pytest.mark.parametrize(
    ("named", "engine", "codes"),
    [
        ("BaichuanForCausalLM", None, {"CFG020"}),
        ("BaichuanForCausalLM", "0.23.0", set()),
        ("BambaForCausalLM", None, set()),
    ],
    ids=["gone", "there in the release that is asked for", "perhaps served by the backend"],
)
def test_a_class_that_vllm_has_no_more(
    named: str, engine: str | None, codes: set[str], checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("llama"), tmp_path / "own")
    edit_config(folder, lambda config: config.update(architectures=[named], model_type="baichuan"))
    asked = (EngineRequest("vllm", engine),) if engine else ()
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions(engines=asked))
    assert errors(report) & {"CFG020"} == codes
