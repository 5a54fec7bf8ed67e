"""The reference data of heads, and what a checkpoint's own targets make of it."""

from __future__ import annotations

import pytest

from benchmarks.learn.heads.releases import rows_at
from benchmarks.support_page import first_dispatching_version
from ctq.engines.data_file import read_data
from ctq.engines.vllm_models import heads
from ctq.engines.vllm_models.heads import head_reach, head_support, known_versions, newest_vllm
from ctq.errors import UsageError

PATTERN = ["re:.*lm_head$"]


def test_the_data_covers_its_versions() -> None:
    assert known_versions()[0] == "0.20.0"
    assert newest_vllm() == known_versions()[-1] == "0.33.0"
    assert len(heads.architectures()) == 460


@pytest.mark.parametrize("version", known_versions())
def test_the_computed_dispatch_agrees_with_the_column_for_the_common_pattern(version: str) -> None:
    expected = {
        True: ("dispatched", "unknown"),
        False: ("missed", "impossible"),
        None: ("impossible",),
        "inner": ("unknown",),
    }
    seen = 0
    for architecture, (_, _, dispatch, _) in rows_at(read_data("vllm_heads")["architectures"], version).items():
        support = head_support(architecture, version)
        assert support is not None
        status = head_reach(architecture, PATTERN, version=version).status
        assert status in (("impossible",) if support.is_always_tied else expected[dispatch]), architecture
        seen += not support.is_always_tied
    assert seen > 300


@pytest.mark.parametrize(
    ("architecture", "targets", "status"),
    [
        ("LlamaForCausalLM", PATTERN, "dispatched"),
        ("LlamaForCausalLM", ["Linear"], "missed"),
        ("LlamaForCausalLM", ["lm_head"], "dispatched"),
        ("LlamaForCausalLM", ["Linear", "ParallelLMHead"], "dispatched"),
        ("LlamaForCausalLM", ["lmhead"], "dispatched"),  # a part of the class name, whatever the case
        ("Gemma3ForConditionalGeneration", ["lm_head"], "missed"),
        ("Gemma3ForConditionalGeneration", PATTERN, "dispatched"),
        ("AfmoeForCausalLM", PATTERN, "missed"),
        ("AfmoeForCausalLM", [*PATTERN, "ParallelLMHead"], "dispatched"),
        ("GPT2LMHeadModel", ["lm_head"], "missed"),
        ("GPT2LMHeadModel", PATTERN, "dispatched"),
        ("ChatGLMModel", PATTERN, "missed"),
        ("ChatGLMModel", ["re:.*output_layer$"], "dispatched"),
        ("InternLM2ForCausalLM", ["re:.*output$"], "dispatched"),
        ("GptOssForCausalLM", ["ParallelLMHead"], "impossible"),
        ("Qwen3NextForCausalLM", PATTERN, "impossible"),
        ("PhiMoEForCausalLM", PATTERN, "impossible"),
        ("CohereForCausalLM", PATTERN, "impossible"),
        ("MPTForCausalLM", PATTERN, "unknown"),  # removed before the newest
        ("NoSuchForCausalLM", PATTERN, "unknown"),
        (None, PATTERN, "unknown"),
    ],
)
def test_reach_in_the_newest_release(architecture: str | None, targets: list[str], status: str) -> None:
    assert head_reach(architecture, targets).status == status


@pytest.mark.parametrize(
    ("architecture", "packed", "status"),
    [
        ("Lfm2ForCausalLM", False, "impossible"),  # the embedding takes the place of `weight`
        ("Lfm2ForCausalLM", True, "dispatched"),
        ("Zamba2ForCausalLM", True, "impossible"),  # no quantization config reaches it
        ("WhisperForConditionalGeneration", True, "impossible"),  # every tensor of the head is skipped
    ],
)
def test_a_head_that_is_always_tied_keeps_packed_codes(architecture: str, packed: bool, status: str) -> None:
    assert head_reach(architecture, [*PATTERN, "re:.*proj_out$"], packed=packed).status == status


def test_a_head_without_a_name_says_what_reaches_it() -> None:
    reach = head_reach("AfmoeForCausalLM", PATTERN)
    assert reach.nameless
    assert "ParallelLMHead" in reach.reason


@pytest.mark.parametrize(
    ("inner", "targets", "status"),
    [
        (None, PATTERN, "unknown"),
        ("LlamaForCausalLM", PATTERN, "dispatched"),
        ("llama", PATTERN, "dispatched"),  # a model type will do
        ("gpt_oss", PATTERN, "impossible"),
        ("InternLM2ForCausalLM", PATTERN, "missed"),
        ("InternLM2ForCausalLM", ["re:.*output$"], "dispatched"),
        ("AfmoeForCausalLM", PATTERN, "missed"),
        ("NoSuchForCausalLM", PATTERN, "unknown"),
    ],
)
def test_a_wrapper_is_decided_by_its_text_model(inner: str | None, targets: list[str], status: str) -> None:
    assert head_reach("InternVLChatModel", targets, inner=inner).status == status


def test_the_name_of_an_inner_head_has_the_wrapper_before_it() -> None:
    assert head_reach("InternVLChatModel", PATTERN, inner="InternLM2ForCausalLM").prefix == "language_model.output"
    assert head_reach("LlavaForConditionalGeneration", PATTERN, inner="gpt2").prefix == "language_model.lm_head"


def test_versions() -> None:
    assert head_reach("LlamaForCausalLM", PATTERN, version="0.19.1").status == "impossible"
    assert head_reach("LlamaForCausalLM", PATTERN, version="0.20.0").status == "dispatched"
    assert head_reach("LlamaForCausalLM", ["Linear"], version="0.20.0").status == "missed"
    assert head_reach("LlamaForCausalLM", PATTERN, version="0.99").status == "dispatched"
    assert head_reach("GPTNeoXForCausalLM", PATTERN, version="0.31.0").status == "missed"
    assert head_reach("GPTNeoXForCausalLM", PATTERN, version="0.32.0").status == "dispatched"
    assert head_support("LlamaForCausalLM", "0.27.1") == head_support("LlamaForCausalLM", "0.26.0")
    assert head_support("LlamaForCausalLM", "0.11.2") is None


@pytest.mark.parametrize(
    ("architecture", "first"),
    [
        ("LlamaForCausalLM", "0.20.0"),
        ("BailingMoeV2_5ForCausalLM", "0.20.2"),
        ("NemotronHForCausalLM", "0.23.0"),
        ("GPTBigCodeForCausalLM", "0.26.0"),
        ("GemmaForCausalLM", "0.29.0"),
        ("GptOssForCausalLM", None),
        ("NoSuchForCausalLM", None),
    ],
)
def test_first_dispatching_version(architecture: str, first: str | None) -> None:
    assert first_dispatching_version(architecture, PATTERN) == first


def test_a_version_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="not a version"):
        head_reach("LlamaForCausalLM", PATTERN, version="newest")
