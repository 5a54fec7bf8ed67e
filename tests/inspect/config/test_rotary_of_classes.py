"""Rotary settings that one class takes and another does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import edit_config
from families import build
from inspecting import errors

LINEAR = {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 1e4}
LONG = {
    "rope_type": "longrope", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 1e4,
    "long_factor": [1.0] * 16, "short_factor": [1.0] * 16,
}  # fmt: skip
BARE = {"rope_theta": 1e4}


@pytest.mark.parametrize(
    ("family", "settings", "is_taken"),
    [
        ("llama", LINEAR, True),
        ("llama", {**LINEAR, "rope_type": "ntk"}, True),
        ("olmo2", {**LINEAR, "rope_type": "mrope"}, False),  # lacks its sections
        ("olmo2", {**LONG, "rope_type": "su"}, True),
        ("olmo2", {**LINEAR, "rope_type": "ntk"}, False),  # built by transformers' own class
        ("llama", LONG, True),
        ("llama", {**LINEAR, "rope_type": ["linear"], "type": "linear"}, False),
        ("llama", BARE, True),
        ("deepseek-v3", LINEAR, False),  # scales by the original length, which is added for other kinds alone
        ("deepseek-v3", {**LINEAR, "original_max_position_embeddings": 64}, True),
        (
            "deepseek-v3",
            {"rope_type": "su", "long_factor": [1.0] * 16, "short_factor": [1.0] * 16},
            False,
        ),  # as by YaRN
        ("phi3", YARN, False),  # taken for longrope, which has factors
        ("phi3", LONG, True),
        ("phi3", {key: value for key, value in LONG.items() if not key.startswith("original")}, True),
        ("phi3", {**LONG, "rope_type": "su"}, True),
        (  # as Phi-3's first 128k models were published
            "phi3",
            {"type": "su", "long_factor": [1.0] * 16, "short_factor": [1.0] * 16},
            False,
        ),
        ("cohere", LONG, False),  # pairs of neighbours
        ("cohere", YARN, True),
        ("gemma3", {"rope_type": "linear", "rope_theta": 1e4}, True),  # each kind of layers has settings of its own
        ("gemma3", BARE, False),
        ("gemma3", {"rope_type": "linear", "type": "yarn", "factor": 2.0}, False),
        ("ministral3", BARE, True),
    ],
)
def test_settings_by_class(family: str, settings: dict[str, Any], is_taken: bool, tmp_path: Path) -> None:
    folder = build(family, tmp_path / family)
    edit_config(folder, lambda config: config.update(rope_parameters=settings))
    assert errors(folder) == (set() if is_taken else {"CFG022"})


def test_older_settings_win(tmp_path: Path) -> None:
    folder = build("gpt-oss", tmp_path / "m")
    assert errors(folder) == set()
    edit_config(
        folder,
        lambda config: config.update(rope_scaling={**YARN, "beta_fast": 32.0, "beta_slow": 1.0, "truncate": False}),
    )
    assert errors(folder) == set()
    edit_config(folder, lambda config: config.update(rope_scaling=YARN))  # its class reads both numbers
    assert errors(folder) == {"CFG022"}


@pytest.mark.parametrize("family", ["gemma3", "olmo3"])
@pytest.mark.parametrize(
    ("settings", "is_taken"),
    [
        ({"factor": 8.0, "rope_type": "linear"}, True),  # as Gemma 3 is published
        ({"factor": 8.0, "type": "linear"}, False),  # put over those of full attention, which name theirs
        ({"factor": 8.0}, True),
    ],
)
def test_older_settings_where_each_kind_of_layer_has_its_own(
    family: str, settings: dict[str, Any], is_taken: bool, tmp_path: Path
) -> None:
    folder = build(family, tmp_path / family)
    edit_config(folder, lambda config: config.update(rope_scaling=settings))
    assert errors(folder) == (set() if is_taken else {"CFG022"})


@pytest.mark.parametrize(
    ("family", "settings", "is_taken"),
    [
        ("opt", LINEAR, True),
        ("opt", YARN, True),
        ("opt", {"rope_type": "yarn", "factor": 4.0}, False),  # nothing fills in the length
        ("bloom", LINEAR, True),
        ("bloom", YARN, False),  # its class has no length
        ("bloom", LONG, False),
        ("gptj", YARN, True),
        ("gptj", LONG, False),
        ("gptj", {"rope_type": "linear", "factor": 2.0}, False),  # nothing fills in the base
        ("gptj", None, False),
    ],
)
def test_settings_that_a_class_has_no_field_for(
    family: str, settings: dict[str, Any] | None, is_taken: bool, tmp_path: Path
) -> None:
    folder = build(family, tmp_path / family)
    edit_config(folder, lambda config: config.update(rope_parameters=settings))
    assert errors(folder) == (set() if is_taken else {"CFG022"})
