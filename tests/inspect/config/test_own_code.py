"""Configs whose class lies in the repository: of a type that loaders know their own class reads it, of another the part inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import edit_config, tiny_checkpoint
from families import build
from inspecting import errors

OWN = {"auto_map": {"AutoConfig": "owner/name--configuration_chat.ChatConfig"}}


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({}, set()),
        ({"vocab_size": "320"}, {"CFG022"}),
        ({"tie_word_embeddings": None}, {"CFG022"}),
        ({"model_type": "my_llama", "tie_word_embeddings": None}, set()),
        ({"model_type": "my_llama", "architectures": [["LlamaForCausalLM"]]}, {"CFG022"}),
        ({"model_type": "my_llama", "architectures": "LlamaForCausalLM"}, {"CFG022"}),
    ],
    ids=["as it was", "a text", "null", "of a type of its own", "a list in a list", "no list"],
)
def test_a_known_type_is_read_by_the_class_that_loaders_have(
    changes: dict[str, Any], codes: set[str], tmp_path: Path
) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    edit_config(folder, lambda config: config.update(OWN | changes))
    assert errors(folder) & {"CFG022"} == codes


@pytest.mark.parametrize(
    ("rope", "codes"),
    [
        ({"rope_type": "linear", "factor": 2.0}, set()),
        ({"rope_type": "linear"}, {"CFG022"}),
        ({"rope_type": "default"}, set()),
    ],
)
def test_rotary_settings_are_checked_of_any_class(rope: dict[str, Any], codes: set[str], tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "m")
    edit_config(folder, lambda config: config.update(OWN, model_type="my_llama", rope_parameters=rope))
    assert errors(folder) & {"CFG022"} == codes


def test_the_type_of_what_lies_inside_may_be_missing_and_not_null(tmp_path: Path) -> None:
    folder = build("gemma3-mm", tmp_path / "m")
    edit_config(folder, lambda config: config["text_config"].pop("model_type"))
    assert errors(folder) & {"CFG022"} == set()
    edit_config(folder, lambda config: config["text_config"].update(model_type=None))
    assert errors(folder) & {"CFG022"} == {"CFG022"}


@pytest.mark.parametrize(("value", "codes"), [(4, set()), (None, {"CFG022"}), ("4", {"CFG022"})])
def test_the_text_model_inside_is_read_by_the_class_of_its_type(value: Any, codes: set[str], tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "m")

    def wrap(config: dict[str, Any]) -> None:
        text = dict(config) | {"num_attention_heads": value}
        config.clear()
        config |= OWN | {"model_type": "my_chat", "architectures": ["InternVLChatModel"], "llm_config": text}

    edit_config(folder, wrap)
    assert errors(folder) & {"CFG022"} == codes


@pytest.mark.parametrize(("key", "codes"), [("n_shared_experts", {"CFG022"}), ("pretraining_tp", set())])
def test_values_that_the_text_models_class_does_not_bear(key: str, codes: set[str], tmp_path: Path) -> None:
    folder = build("deepseek-v3", tmp_path / "m")

    def wrap(config: dict[str, Any]) -> None:
        text = dict(config) | {key: None}
        config.clear()
        config |= {"model_type": "kimi_vl", "architectures": ["KimiVLForConditionalGeneration"], "text_config": text}

    edit_config(folder, wrap)
    assert errors(folder) & {"CFG022"} == codes
