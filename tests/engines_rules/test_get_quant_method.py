"""`get_quant_method` on the layers of a model: the three base cases of a head, and what vLLM refuses."""

from __future__ import annotations

from typing import Any

import pytest

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.dispatch import DispatchConfig, Method
from ctq.engines.vllm.layers import (
    Attention,
    ColumnParallelLinear,
    FusedMoE,
    LayerSpec,
    ParallelLMHead,
    QKVParallelLinear,
    VocabParallelEmbedding,
)
from ctq.engines.vllm.rules import rules_for

W8 = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel", "dynamic": False}
GROUP_128 = {**W8, "strategy": "group", "group_size": 128}
TOKEN = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
HEAD = "re:.*lm_head$"


def config(
    *groups: dict[str, Any], ignore: list[str] | None = None, version: str = "0.33.0", **top: Any
) -> DispatchConfig:
    raw = {
        "quant_method": "compressed-tensors",
        "config_groups": dict(enumerate(groups)),
        "ignore": ignore or [],
        **top,
    }
    return DispatchConfig.from_quantization_config(raw, rules_for(version))


def w8a8(*targets: str, **changes: Any) -> dict[str, Any]:
    return {"targets": list(targets), "weights": W8, "input_activations": TOKEN, "format": "int-quantized", **changes}


def w8a16(*targets: str, **changes: Any) -> dict[str, Any]:
    return {
        "targets": list(targets),
        "weights": GROUP_128,
        "input_activations": None,
        "format": "pack-quantized",
        **changes,
    }


def head(config: DispatchConfig, prefix: str = "lm_head") -> Method | None:
    return config.get_quant_method(ParallelLMHead(), prefix)


# The three base cases.


@pytest.mark.parametrize(("group", "scheme"), [(w8a8(HEAD), "W8A8Int8"), (w8a16(HEAD), "WNA16")])
def test_a_head_that_a_target_matches_gets_the_linear_method_with_its_scheme(
    group: dict[str, Any], scheme: str
) -> None:
    assert head(config(group)) == Method(kind="linear", scheme=scheme, target=HEAD, group=0)


def test_a_head_in_ignore_gets_none() -> None:
    assert head(config(w8a8(HEAD, "Linear"), ignore=["lm_head"])) is None


def test_a_head_that_no_target_matches_gets_none() -> None:
    assert head(config(w8a8("Linear"))) is None


# What follows from the class of the head and from releases.


@pytest.mark.parametrize("version", ["0.20.0", "0.20.2"])
def test_a_head_that_nothing_matches_is_none_where_a_linear_layer_raises(version: str) -> None:
    dispatch = config(w8a8("re:.*mlp.*"), version=version)
    assert head(dispatch) is None
    with pytest.raises(DispatchError, match="ValueError: no target matches"):
        dispatch.get_quant_method(ColumnParallelLinear(), "model.layers.0.self_attn.o_proj")


def test_an_unmatched_linear_layer_is_unquantized_later() -> None:
    dispatch = config(w8a8("re:.*mlp.*"), version="0.21.0")
    assert dispatch.get_quant_method(ColumnParallelLinear(), "model.layers.0.self_attn.o_proj") == Method(kind="linear")


def test_no_head_is_quantized_before_0_20() -> None:
    assert head(config(w8a8(HEAD), version="0.19.1")) is None


@pytest.mark.parametrize(
    ("prefix", "target", "reached"),
    [
        ("language_model.lm_head", "lm_head", False),
        ("language_model.lm_head", HEAD, True),
        (".lm_head", "lm_head", False),
        (".lm_head", HEAD, True),
        ("", HEAD, False),
        ("", "ParallelLMHead", True),
        ("lm_head", "parallel", True),
        ("transformer.output_layer", HEAD, False),
    ],
)
def test_names_of_heads(prefix: str, target: str, reached: bool) -> None:
    assert (head(config(w8a8(target)), prefix) is not None) == reached


def test_the_first_group_that_matches_wins() -> None:
    found = head(config(w8a16("re:.*"), w8a8(HEAD)))
    assert found is not None
    assert (found.scheme, found.target) == ("WNA16", "re:.*")


def test_a_swallowed_value_error_leaves_the_head_to_the_embedding_method() -> None:
    # 16 bits are refused by the scheme with a ValueError, which the head's branch swallows.
    broken = w8a16(HEAD, weights={**W8, "num_bits": 16})
    assert head(config(broken)) == Method(kind="embedding", scheme="EmbeddingWNA16Int", target=HEAD, group=0)
    with pytest.raises(DispatchError, match="ValueError"):
        config(broken, w8a16("Linear")).get_quant_method(ColumnParallelLinear(), "lm_head")


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        (w8a8(HEAD, weights=GROUP_128), "NotImplementedError"),
        (w8a8(HEAD, weights={**W8, "symmetric": False}), "NotImplementedError"),
        (w8a8(HEAD, format="mixed-precision"), "NotImplementedError"),
    ],
)
def test_a_head_whose_scheme_does_not_exist_is_refused(group: dict[str, Any], kind: str) -> None:
    with pytest.raises(DispatchError) as caught:
        head(config(group))
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("group", "kind"),
    [
        (w8a16(HEAD, format="int-quantized"), "AssertionError"),
        (w8a16(HEAD, weights=None), "ValueError"),
        (w8a16(HEAD, weights={**W8, "strategy": "group"}), "ValueError"),
        (w8a16(HEAD, weights={**W8, "something": 1}), "ValueError"),
        (w8a16(HEAD, weights={**GROUP_128, "actorder": "group"}), "ValueError"),
        ({"weights": W8}, "TypeError"),
    ],
)
def test_a_config_that_vllm_refuses_to_read(group: dict[str, Any], kind: str) -> None:
    with pytest.raises(DispatchError) as caught:
        config(group)
    assert caught.value.kind == kind


def test_mixed_formats_need_one_on_each_group() -> None:
    dispatch = config(w8a16(HEAD), w8a8("Linear"), format="mixed-precision")
    found = [
        dispatch.get_quant_method(ParallelLMHead(), "lm_head"),
        dispatch.get_quant_method(ColumnParallelLinear(), "x.o_proj"),
    ]
    assert [method and method.scheme for method in found] == ["WNA16", "W8A8Int8"]


# The layers around it.


def test_a_fused_layer_that_is_ignored_in_part_is_refused() -> None:
    dispatch = config(w8a8("Linear"), ignore=["re:.*k_proj$"])
    with pytest.raises(DispatchError, match=r"ValueError: of the fused layer .*qkv_proj only .*k_proj"):
        dispatch.get_quant_method(QKVParallelLinear(), "model.layers.0.self_attn.qkv_proj")


def test_a_pattern_that_ends_in_a_fused_name_ignores_the_whole_of_it_from_0_30_on() -> None:
    layer, name = QKVParallelLinear(), "model.layers.0.self_attn.qkv_proj"
    assert config(w8a8("Linear"), ignore=["re:.*v_proj$"]).get_quant_method(layer, name) == Method(kind="linear")
    with pytest.raises(DispatchError, match="ValueError"):
        config(w8a8("Linear"), ignore=["re:.*v_proj$"], version="0.29.0").get_quant_method(layer, name)


def test_exact_parts_beside_linear_change_their_meaning_with_0_27() -> None:
    parts = [f"model.layers.0.self_attn.{part}_proj" for part in "qkv"]
    schemes = {
        version: config(w8a16(*parts), w8a8("Linear"), version=version).get_quant_method(
            QKVParallelLinear(), "model.layers.0.self_attn.qkv_proj"
        )
        for version in ("0.26.0", "0.27.0")
    }
    assert [method and method.scheme for method in schemes.values()] == ["W8A8Int8", "WNA16"]


def test_an_embedding_takes_weight_only_integers_alone() -> None:
    assert config(w8a16("re:.*")).get_quant_method(VocabParallelEmbedding(), "model.embed_tokens") is not None
    assert (
        config(w8a16("re:.*"), version="0.22.1").get_quant_method(VocabParallelEmbedding(), "model.embed_tokens")
        is None
    )
    tensor = w8a8("re:.*", weights={**W8, "strategy": "tensor"})
    with pytest.raises(DispatchError, match="embeddings"):
        config(tensor).get_quant_method(VocabParallelEmbedding(), "model.embed_tokens")


def test_experts_take_the_scheme_of_linear_and_must_agree() -> None:
    experts = "model.layers.0.mlp.experts"
    found = config(w8a8("Linear")).get_quant_method(FusedMoE(), experts)
    assert found == Method(kind="moe", scheme="W8A8Int8", target="Linear", group=0)
    with pytest.raises(DispatchError, match="different schemes"):
        config(w8a16("re:.*down_proj$"), w8a8("Linear")).get_quant_method(FusedMoE(), experts)


@pytest.mark.parametrize(("version", "reached"), [("0.25.0", False), ("0.33.0", True)])
def test_an_empty_target_reaches_every_class_where_the_class_is_asked_last(version: str, *, reached: bool) -> None:
    empty = config(w8a8(""), version=version)
    layer = empty.get_quant_method(ColumnParallelLinear(), "model.layers.0.mlp.up_proj")
    assert (layer == Method(kind="linear", scheme="W8A8Int8", target="", group=0)) is reached
    experts = empty.get_quant_method(FusedMoE(), "model.layers.0.mlp.experts")
    assert (experts == Method(kind="moe", scheme="W8A8Int8", target="", group=0)) is reached


def test_of_targets_that_are_a_text_each_letter_is_one() -> None:
    text = config({**w8a8(), "targets": "Linear"})
    assert list(text.schemes) == list("Linear")
    found = text.get_quant_method(VocabParallelEmbedding(), "model.embed_tokens")
    assert found is not None
    assert found.target == "L"


@pytest.mark.parametrize("layer", [Attention(), LayerSpec()])
def test_other_layers(layer: LayerSpec) -> None:
    assert config(w8a8("re:.*")).get_quant_method(layer, "x") == (
        Method(kind="kv_cache") if isinstance(layer, Attention) else None
    )


@pytest.mark.parametrize("pattern", ["re:(", "re:(a+)+(?!b)\\1$"])
def test_a_pattern_that_cannot_be_matched_is_a_refusal_not_a_crash(pattern: str) -> None:
    with pytest.raises(DispatchError, match=r"re\.error"):
        head(config(w8a8(pattern)), "a" * 40)


def test_ignore_that_is_null_is_refused_at_the_first_layer() -> None:
    raw = {"config_groups": {"group_0": w8a8(HEAD)}, "ignore": None}
    with pytest.raises(DispatchError, match="TypeError"):
        head(DispatchConfig.from_quantization_config(raw, rules_for()))


def test_capabilities() -> None:
    raw = {"config_groups": {"group_0": w8a8(HEAD)}}
    for capability, refused in ((70, True), (75, False), (120, False)):
        dispatch = DispatchConfig.from_quantization_config(raw, rules_for(), capability=capability)
        if refused:
            with pytest.raises(DispatchError, match=r"RuntimeError: W8A8Int8 needs compute capability 7.5"):
                head(dispatch)
        else:
            assert head(dispatch) is not None
