"""What a configuration says, at whatever level, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctq.checkpoint.config import TEXT_CONFIG_KEYS, ModelConfig, parse_config
from ctq.errors import CheckpointError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats(allow_nan=False) | st.text("ab\u00e9", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*TEXT_CONFIG_KEYS[:3], "architectures", "tie_word_embeddings", "quantization_config", "vocab_size"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def test_a_plain_model() -> None:
    config = ModelConfig(
        {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 7, "hidden_size": 4}
    )
    assert (config.architecture, config.model_type) == ("LlamaForCausalLM", "llama")
    assert (config.vocab_size, config.hidden_size, config.num_hidden_layers) == (7, 4, None)
    assert config.tie_flags == {}
    assert config.quantization is None


def test_levels_come_outermost_first_in_the_order_of_the_table() -> None:
    thinker = {"text_config": {"vocab_size": 9, "tie_word_embeddings": False, "architectures": ["Inner"]}}
    config = ModelConfig(
        {"decoder": {"d_model": 3}, "thinker_config": thinker, "vocab_size": 1, "tie_word_embeddings": True}
    )
    assert [path for path, _ in config.text_levels] == ["", "thinker_config", "thinker_config.text_config", "decoder"]
    assert config.tie_flags == {"": True, "thinker_config.text_config": False}
    assert config.vocab_size == 9


@pytest.mark.parametrize("key", ["quantization_config", "compression_config"])
def test_the_quantization_config_may_be_nested(key: str) -> None:
    assert ModelConfig({"text_config": {key: {"bits": 8}}}).quantization == {"bits": 8}
    assert ModelConfig({key: {"bits": 4}, "text_config": {key: {"bits": 8}}}).quantization == {"bits": 4}


@given(
    raw=st.dictionaries(st.sampled_from([*TEXT_CONFIG_KEYS, "architectures", "model_type", "vocab_size"]), json_values)
)
def test_no_configuration_is_too_odd_to_read(raw: dict[str, Any]) -> None:
    config = parse_config(json.dumps(raw).encode())
    for name in (name for name, value in vars(ModelConfig).items() if isinstance(value, property)):
        getattr(config, name)


def test_nesting_is_followed_without_recursion() -> None:
    config: dict[str, Any] = {"vocab_size": 5}
    for _ in range(5000):
        config = {"text_config": config}
    assert ModelConfig(config).vocab_size == 5


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b"[" * 500_000, "not JSON"),
        (b"\xff\xfe\xfd", "not JSON"),
        (rb'{"model_type": "\ud800"}', "surrogates not allowed"),
        (b'{"vocab_size": ' + b"9" * 5000 + b"}", "not JSON"),
        (b"null", "not a JSON object"),
        (b"[]", "not a JSON object"),
    ],
)
def test_refused_in_one_line(raw: bytes, words: str) -> None:
    with pytest.raises(CheckpointError) as refusal:
        parse_config(raw)
    assert words in refusal.value.message
    assert refusal.value.message.startswith("config.json: ")
    assert "\n" not in refusal.value.message


def test_infinity_is_taken_as_transformers_takes_it() -> None:
    assert parse_config(b'{"rope": Infinity}').raw == {"rope": float("inf")}
