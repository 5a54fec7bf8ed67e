"""As which model types the levels of a config are read, and which text model lies inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctq.checkpoint.config import TEXT_CONFIG_KEYS, ModelConfig
from ctq.engines.configs.fields import assumed
from ctq.engines.configs.read_levels import inner_architecture, read_levels
from ctq.engines.data_file import read_data


@pytest.mark.parametrize(
    ("wrapper", "key", "stated", "read"),
    [
        ("llava", "text_config", None, "llama"),
        ("llava", "text_config", "qwen2", "qwen2"),
        ("kimi_k25", "text_config", "kimi_k2", "deepseek_v3"),
        ("kimi_vl", "text_config", "deepseek_v3", "deepseek_v2"),
        ("deepseek_vl_v2", "language_config", None, "deepseek_v2"),
        ("qwen3_vl", "text_config", "llama", "qwen3_vl_text"),
        ("nonesuch", "text_config", "llama", "llama"),
        ("nonesuch", "text_config", None, None),
        (None, "text_config", "llama", "llama"),
        (7, "text_config", "llama", "llama"),
    ],
)
def test_a_level_inside_is_read_as_the_class_of_the_wrapper_has_it(
    wrapper: object, key: str, stated: str | None, read: str | None
) -> None:
    level = {"hidden_size": 64, **({"model_type": stated} if stated else {})}
    raw = {"model_type": wrapper, key: level}
    (_, top), (path, inside) = read_levels(ModelConfig(raw))
    assert (top, path) == (raw, key)
    assert inside == {**level, **({"model_type": read} if read else {})}
    assert level.get("model_type") == stated  # the config itself stays as it is


def test_levels_inside_levels_are_read_by_what_they_lie_in() -> None:
    raw = {"model_type": "qwen2_5_omni", "thinker_config": {"text_config": {}}}
    assert [level.get("model_type") for _, level in read_levels(ModelConfig(raw))] == [
        "qwen2_5_omni",
        "qwen2_5_omni_thinker",
        "qwen2_5_omni_text",
    ]


def test_what_a_config_leaves_out_is_assumed_by_the_class_that_reads_it() -> None:
    assumes = {kind: ModelConfig({"model_type": kind}) for kind in ("deepseek_v2", "deepseek_v3")}
    numbers = {kind: assumed(config, "first_k_dense_replace") for kind, config in assumes.items()}
    assert numbers["deepseek_v2"] != numbers["deepseek_v3"]
    wrapped = ModelConfig({"model_type": "kimi_vl", "text_config": {"model_type": "deepseek_v3"}})
    assert assumed(wrapped, "first_k_dense_replace") == numbers["deepseek_v2"]


@pytest.mark.parametrize(
    ("raw", "inner"),
    [
        ({"model_type": "llama"}, None),
        ({"thinker_config": {"text_config": {"architectures": ["Inner"]}}}, "Inner"),
        ({"text_config": {"architectures": ["Inner"], "model_type": "llama"}}, "Inner"),
        ({"model_type": "llava", "text_config": {}}, "llama"),
        ({"model_type": "llava", "text_config": {"model_type": "mistral"}}, "mistral"),
        ({"text_config": {}}, None),
        ({"text_config": {"architectures": "Inner", "model_type": 7}}, None),
    ],
)
def test_the_text_model_inside_is_the_one_that_is_named_or_that_the_type_stands_for(
    raw: dict, inner: str | None
) -> None:
    assert inner_architecture(ModelConfig(raw)) == inner


@given(st.recursive(
    st.none() | st.integers() | st.sampled_from([*read_data("config_classes")["types"]]),
    lambda inner: st.dictionaries(st.sampled_from([*TEXT_CONFIG_KEYS, "model_type"]), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
))  # fmt: skip
def test_any_config_has_the_levels_that_it_has(raw: object) -> None:
    config = ModelConfig(raw if isinstance(raw, dict) else {})
    levels = read_levels(config)
    assert [path for path, _ in levels] == [path for path, _ in config.text_levels]
    for (_, level), (_, stated) in zip(levels, config.text_levels, strict=True):
        assert {**level, "model_type": 0} == {**stated, "model_type": 0}
