"""Keys that vLLM reads and transformers' config classes do not have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ctq.checkpoint.config import ModelConfig
from ctq.engines.data_file import read_data
from ctq.engines.refusals import refused_by_loaders
from ctq.engines.vllm_models.lacking_fields import lacking_fields

ARCHITECTURES = read_data("lacking_fields")["architectures"]


def saved(architecture: str, **inside: Any) -> ModelConfig:
    """Return the config that transformers' own class of an architecture saves."""
    import transformers

    raw = getattr(transformers, architecture).config_class().to_dict()
    for path, values in inside.items():
        (raw[path] if path else raw).update(values)
    return ModelConfig(json.loads(json.dumps({**raw, "architectures": [architecture]}, default=str)))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_class_of_transformers_states_none_of_them(architecture: str) -> None:
    lost = [path for path, _ in lacking_fields(saved(architecture))]
    assert lost == [f"{level}.{key}" if level else key for level, key in ARCHITECTURES[architecture]]


def test_a_config_that_states_them_is_taken() -> None:
    stated = {"audio_config": {"downsample_factor": 4, "window_size": 0, "sampling_rate": 16000}}
    assert not list(lacking_fields(saved("VoxtralForConditionalGeneration", **stated)))
    keys = [key for key, _ in refused_by_loaders(saved("VoxtralForConditionalGeneration", **stated))]
    assert "audio_config.downsample_factor" not in keys


def test_null_is_a_value_of_which_nothing_is_said() -> None:
    stated = {"text_config": {"head_dim": None, "use_qk_norm": None}}
    assert not list(lacking_fields(saved("Glm4vMoeForConditionalGeneration", **stated)))


def test_what_only_code_of_the_repository_reads_is_not_judged() -> None:
    config = saved("VoxtralForConditionalGeneration", **{"": {"auto_map": {"AutoConfig": "x.X"}, "model_type": "mine"}})
    assert not list(lacking_fields(config))
