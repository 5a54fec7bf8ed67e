"""Verdicts by release and architecture: what changes them, and the sentences that go with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from head_facts_cases import COLUMNS, DENSE, HEAD, INT8, PACKED, ROWS, TIED, TOKEN, W8A8, W8A16, config

from ctq.engines.verdicts.head_facts import HeadFacts, HeadForm, HeadTensor
from ctq.engines.verdicts.verdict import ENGINES, head_verdict
from ctq.engines.vllm_models.limits import HEAD_LIMITS, breaking_limit, limits_of
from ctq.errors import UsageError


def vllm(facts: HeadFacts, version: str = "0.33.0") -> str:
    return head_verdict(facts, "vllm", version).verdict


@pytest.mark.parametrize("facts", [W8A8, W8A16], ids=["W8A8", "W8A16"])
@pytest.mark.parametrize(
    ("version", "word"),
    [
        ("0.11.2", "fails"),
        ("0.19.1", "fails"),
        ("0.20.0", "quantized"),
        ("0.28.0", "quantized"),
        ("0.33.0", "quantized"),
        ("0.40", "quantized"),
    ],
)
def test_releases(facts: HeadFacts, version: str, word: str) -> None:
    assert vllm(facts, version) == word


# A tie flag beside a head of its own (the table of tie effects).


@pytest.mark.parametrize(
    ("architecture", "version", "int8", "packed"),
    [
        ("LlamaForCausalLM", "0.20.0", "garbage", "garbage"),  # tie_weights, and lm_head.* is skipped
        ("LlamaForCausalLM", "0.28.0", "garbage", "garbage"),
        ("LlamaForCausalLM", "0.29.0", "quantized", "quantized"),  # untied by lm_head.weight; packed works by accident
        ("Qwen2ForCausalLM", "0.20.0", "dense", "dense"),  # the head is the embedding itself
        ("Qwen2ForCausalLM", "0.26.0", "dense", "dense"),
        ("Qwen2ForCausalLM", "0.28.0", "garbage", "garbage"),
        ("Qwen2ForCausalLM", "0.33.0", "quantized", "quantized"),
        ("BailingMoeV2_5ForCausalLM", "0.23.0", "quantized", "quantized"),  # ignores the flag
        (
            "HYV3ForCausalLM",
            "0.33.0",
            "quantized",
            "quantized",
        ),  # what drops lm_head.weight sees names of its layers alone
        ("HYV4ForCausalLM", "0.33.0", "quantized", "garbage"),  # maps lm_head. to none
    ],
)
def test_a_tie_flag_beside_own_tensors(architecture: str, version: str, int8: str, packed: str) -> None:
    facts = {"architecture": architecture, "tie_flags": TIED}
    assert (vllm(replace(W8A8, **facts), version), vllm(replace(W8A16, **facts), version)) == (int8, packed)


def test_the_flag_of_the_top_level_counts() -> None:
    nested = replace(W8A8, tie_flags={"text_config": True})
    assert vllm(nested, "0.28.0") == "garbage"
    assert vllm(replace(nested, tie_flags={"": False, "text_config": True}), "0.28.0") == "quantized"
    assert vllm(replace(nested, tie_flags={}), "0.28.0") == "quantized"


@pytest.mark.parametrize("version", ["0.20.0", "0.28.0", "0.33.0"])
def test_a_declared_head_without_tensors_is_garbage_everywhere(version: str) -> None:
    assert vllm(replace(W8A8, tensors={}, name=None, tie_flags=TIED), version) == "garbage"
    assert vllm(replace(W8A16, tensors={}, name=None, tie_flags={}), version) == "garbage"


def test_a_tied_head_that_nothing_names_is_dense() -> None:
    tied = replace(W8A8, quantization=config("Linear"), tensors={}, name=None, tie_flags=TIED)
    assert [head_verdict(tied, engine).verdict for engine in ENGINES[:2]] == ["dense", "dense"]
    assert vllm(replace(tied, tie_flags={})) == "dense"
    assert vllm(replace(tied, tie_flags={"": False})) == "garbage"
    assert vllm(replace(tied, tie_flags={"": False}, quantization=None)) == "fails"


# Architectures.


@pytest.mark.parametrize(
    ("architecture", "inner", "word"),
    [
        ("GptOssForCausalLM", None, "fails"),
        ("Qwen3NextForCausalLM", None, "fails"),
        ("AfmoeForCausalLM", None, "fails"),
        ("CohereForCausalLM", None, "dense"),
        ("Cohere2VisionForConditionalGeneration", "cohere2", "dense"),
        ("Qwen2ForRewardModel", None, "dense"),
        ("Gemma2ForCausalLM", None, "fails"),
        ("NoSuchForCausalLM", None, "unknown"),
        (None, None, "unknown"),
        ("LlavaForConditionalGeneration", None, "unknown"),
        ("LlavaForConditionalGeneration", "llama", "quantized"),
        ("LlavaForConditionalGeneration", "gpt_oss", "fails"),
        ("InklingForCausalLM", None, "fails"),
        ("DiffusionGemmaForBlockDiffusion", None, "fails"),
    ],
)
def test_architectures(architecture: str | None, inner: str | None, word: str) -> None:
    assert vllm(replace(W8A8, architecture=architecture, inner_architecture=inner)) == word


def test_a_nameless_head_is_reached_by_its_class() -> None:
    facts = replace(W8A8, architecture="AfmoeForCausalLM", quantization=config(HEAD, "ParallelLMHead", "Linear"))
    assert vllm(facts) == "quantized"


@pytest.mark.parametrize("architecture", ["NoSuchForCausalLM", "LlavaForConditionalGeneration", "GptOssForCausalLM"])
def test_a_dense_head_that_nothing_names_is_dense_in_any_architecture(architecture: str) -> None:
    facts = replace(W8A8, architecture=architecture, quantization=config("Linear"), tensors=DENSE)
    assert vllm(facts) == "dense"


@pytest.mark.parametrize("architecture", ["LlavaForConditionalGeneration", "GptOssForCausalLM", None])
def test_a_dense_head_that_nothing_names_is_dense_in_sglang(architecture: str | None) -> None:
    facts = replace(W8A8, architecture=architecture, quantization=config("Linear"), tensors=DENSE)
    assert head_verdict(facts, "sglang").verdict == "dense"


# Loading.


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        (replace(W8A8, vocab_size=ROWS + 1), "fails"),
        (replace(W8A16, vocab_size=ROWS + 1), "fails"),
        (replace(W8A8, vocab_size=None, hidden_size=None), "quantized"),
        (replace(W8A8, tensors={**INT8, "weight_scale": HeadTensor("BF16", (ROWS,))}), "fails"),
        (replace(W8A8, tensors={**INT8, "input_scale": HeadTensor("F32", (1,))}), "fails"),
        (replace(W8A8, tensors={**INT8, "weight_zero_point": HeadTensor("I8", (ROWS, 1))}), "fails"),
        (replace(W8A8, tensors={**INT8, "bias": HeadTensor("BF16", (ROWS,))}), "quantized"),
        (replace(W8A8, tensors={"weight": INT8["weight"]}), "garbage"),
        (replace(W8A8, tensors=PACKED), "fails"),
        (replace(W8A16, tensors=INT8), "fails"),
        (replace(W8A8, tensors=DENSE), "garbage"),
        (replace(W8A16, tensors=DENSE), "fails"),
        (replace(W8A16, hidden_size=COLUMNS + 128), "fails"),
        (replace(W8A16, quantization=config(HEAD, packed=True, group_size=96)), "fails"),
        (replace(W8A16, quantization=config(HEAD, packed=True, group_size=64)), "fails"),
        (replace(W8A16, quantization=config(HEAD, packed=True, num_bits=4)), "fails"),
        (replace(W8A16, quantization=config(HEAD, packed=True, symmetric=False)), "garbage"),
        (replace(W8A16, quantization=config(HEAD, packed=True, num_bits=16)), "fails"),
        (replace(W8A8, quantization=config("Linear"), tensors={"weight": INT8["weight"]}), "garbage"),
    ],
)
def test_loading(facts: HeadFacts, word: str) -> None:
    assert vllm(facts) == word


def test_zero_points_of_a_vocabulary_that_is_no_multiple_of_four() -> None:
    odd = 1002
    tensors = {
        "weight_packed": HeadTensor("I32", (odd, COLUMNS // 4)),
        "weight_scale": HeadTensor("BF16", (odd, 2)),
        "weight_zero_point": HeadTensor("I32", (251, 2)),
    }
    facts = replace(W8A16, quantization=config(HEAD, packed=True, symmetric=False), tensors=tensors, vocab_size=odd)
    assert "weight_zero_point has 251 rows, the engine asserts 250" in head_verdict(facts, "vllm").reason


def test_one_scale_for_all_without_a_dimension_is_refused_up_to_0_22() -> None:
    tensors = {"weight": INT8["weight"], "weight_scale": HeadTensor("F32", ())}
    facts = replace(W8A8, quantization=config(HEAD, strategy="tensor"), tensors=tensors)
    assert (vllm(facts, "0.22.1"), vllm(facts, "0.23.0")) == ("fails", "quantized")


def test_float_schemes_are_recognised() -> None:
    fp8 = {"type": "float"}
    facts = replace(
        W8A8, tensors={"weight": HeadTensor("F8_E4M3", (ROWS, COLUMNS)), "weight_scale": INT8["weight_scale"]}
    )
    quantization = config(HEAD, **fp8)
    quantization["config_groups"]["group_0"]["input_activations"] = {**TOKEN, **fp8}
    assert vllm(replace(facts, quantization=quantization)) == "quantized"
    assert vllm(replace(facts, quantization=quantization, tensors=DENSE)) == "garbage"


# SGLang.


@pytest.mark.parametrize(
    ("facts", "version", "word"),
    [
        (W8A8, None, "quantized"),
        (W8A8, "0.5.19", "quantized"),
        (W8A8, "0.5.18", "garbage"),
        (W8A16, None, "quantized"),
        (replace(W8A8, tensors=DENSE, quantization=config("Linear")), "0.5.18", "dense"),
        (replace(W8A8, quantization=config("Linear")), None, "garbage"),
        (replace(W8A8, quantization=config("ParallelLMHead")), None, "garbage"),
        (replace(W8A8, quantization=config("lm_head")), None, "quantized"),  # an ending of the name will do
        (replace(W8A8, quantization=config("re:lm_head")), None, "quantized"),
        (
            replace(W8A8, architecture="YiVLForCausalLM", quantization=config("re:lm_head")),
            None,
            "garbage",
        ),  # language_model.lm_head
        (replace(W8A8, architecture="InternVLChatModel", quantization=config("re:lm_head")), None, "unknown"),
        (replace(W8A8, quantization=config(HEAD, ignore=["lm_head"])), None, "garbage"),
        (replace(W8A8, tie_flags=TIED), None, "dense"),
        (replace(W8A8, architecture="GptOssForCausalLM"), None, "garbage"),
        (replace(W8A8, architecture="PhiForCausalLM"), None, "garbage"),
        (replace(W8A8, architecture="NoSuchForCausalLM"), None, "unknown"),
        (replace(W8A8, architecture="NoSuchForCausalLM", quantization=None, tensors=DENSE), None, "dense"),
        (replace(W8A8, architecture="LlavaForConditionalGeneration"), None, "unknown"),
        (replace(W8A8, architecture=None), None, "unknown"),
        (replace(W8A8, quantization=config(HEAD, strategy="block", block_structure=[128, 128])), None, "fails"),
        (replace(W8A8, quantization=config(HEAD, symmetric=False)), None, "fails"),
        (replace(W8A16, quantization=config(HEAD, packed=True, num_bits=3)), None, "fails"),
    ],
)
def test_sglang(facts: HeadFacts, version: str | None, word: str) -> None:
    assert head_verdict(facts, "sglang", version).verdict == word


# The values.


@pytest.mark.parametrize(
    ("tensors", "stored"),
    [
        ({}, HeadForm.ABSENT),
        (DENSE, HeadForm.DENSE),
        (INT8, HeadForm.INT8),
        (PACKED, HeadForm.PACKED),
        ({"weight": HeadTensor("F8_E4M3", (1, 1))}, HeadForm.FLOAT8),
        ({"qweight": HeadTensor("I32", (1, 1))}, HeadForm.OTHER),
        ({"weight": HeadTensor("U8", (1, 1))}, HeadForm.OTHER),
    ],
)
def test_stored_forms(tensors: dict[str, HeadTensor], stored: HeadForm) -> None:
    assert HeadFacts(architecture=None, tensors=tensors).stored is stored


@pytest.mark.parametrize("engine", ENGINES)
def test_reasons_are_one_plain_sentence(engine: str) -> None:
    for facts in (
        W8A8,
        replace(W8A8, quantization=config("Linear")),
        replace(W8A16, tensors=DENSE),
        replace(W8A8, tensors={}),
    ):
        verdict = head_verdict(facts, engine)
        assert "\n" not in verdict.reason
        assert 10 < len(verdict.reason) < 200
        assert not verdict.reason.endswith(".")


def test_the_linear_only_head_names_the_tensor_that_vllm_refuses() -> None:
    reason = head_verdict(replace(W8A8, quantization=config("Linear")), "vllm").reason
    assert reason == (
        "vLLM builds a dense head and refuses the tensor lm_head.weight_scale: no target matches lm_head, as vLLM calls it"
    )


def test_unknown_engines_and_versions_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="no engine 'tgi'"):
        head_verdict(W8A8, "tgi")
    for engine in ENGINES:
        with pytest.raises(UsageError, match="not a version"):
            head_verdict(W8A8, engine, "newest")


def test_limits() -> None:
    assert {limit.code for limit in limits_of("LlamaForCausalLM")} == {
        "lora",
        "shared-draft",
        "head-dtype",
        "classifier",
    }
    assert breaking_limit("LlamaForCausalLM", ["norm_head"]) is None
    assert breaking_limit("InklingForCausalLM", ()) is not None
    assert breaking_limit("BailingMoeForCausalLM", ()) is None
    assert breaking_limit("BailingMoeForCausalLM", ["norm_head"]) is not None
    assert len({limit.code for limit in HEAD_LIMITS}) == len(HEAD_LIMITS)


@pytest.mark.parametrize(
    ("switches", "verdict"), [(frozenset[str](), "quantized"), (frozenset({"norm_head"}), "fails")]
)
def test_a_head_that_is_normalised_while_it_loads(switches: frozenset[str], verdict: str) -> None:
    facts = replace(W8A8, architecture="BailingMoeForCausalLM", limiting_switches=switches)
    assert vllm(facts) == verdict


def test_packed_codes_without_columns_end_in_a_verdict() -> None:
    tensors = {**W8A16.tensors, "weight_packed": HeadTensor("I32", (1,))}
    facts = replace(
        W8A16, quantization=config(HEAD, packed=True, strategy="channel"), tensors=tensors, hidden_size=None
    )
    assert vllm(facts) == "fails"
