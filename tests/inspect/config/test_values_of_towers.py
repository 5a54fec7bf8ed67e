"""Values in the configs of a wrapper's towers that vLLM refuses, and others that it takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import edit_config
from dotted_values import GONE, put
from inspecting import errors

from ctq.checkpoint.config import ModelConfig
from ctq.engines.configs.towers import tower_number
from ctq.engines.skeletons.tower_rules import refused_by_towers


def change(path: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda config: put(config, path, value)


@pytest.mark.parametrize(
    ("family", "path", "value", "codes"),
    [
        ("llava", "vision_config.num_attention_heads", 5, {"CFG022"}),
        ("llava", "vision_config.num_attention_heads", 8, set()),
        ("llava", "vision_config.num_attention_heads", GONE, {"CFG022"}),  # 12 by its class
        ("llava", "vision_config.num_channels", GONE, set()),  # 3 by its class
        ("llava", "vision_config.intermediate_size", GONE, {"TEN026"}),
        ("llava", "vision_config.num_hidden_layers", GONE, {"TEN025"}),
        ("llava", "vision_config", {}, {"TEN025", "TEN026"}),
        ("llava", "vision_config.image_size", 29, {"CFG022"}),
        ("llava", "vision_config.image_size", None, {"CFG022"}),
        ("llava", "vision_config.hidden_act", "quick", {"CFG022"}),
        ("llava", "vision_config.hidden_act", "relu2", set()),
        ("llava", "vision_config.model_type", "wonderful", {"CFG022"}),
        ("llava", "vision_config.hidden_size", "128", {"CFG022"}),
        ("llava", "vision_feature_select_strategy", "cls", {"CFG022"}),
        ("llava", "vision_feature_select_strategy", "full", set()),
        ("qwen2-vl", "vision_config.num_heads", 5, {"CFG022"}),
        ("qwen2-vl", "vision_config.num_heads", 8, set()),
        ("internvl", "downsample_ratio", 0.0, {"CFG022"}),
        ("internvl", "vision_config.norm_type", "nonesuch", {"CFG022"}),
        ("internvl", "vision_config.norm_type", "rms_norm", set()),
        ("mistral3", "vision_config.rope_parameters.rope_type", "nonesuch", {"CFG022"}),
        ("mistral3", "vision_config.rope_parameters.rope_type", "default", set()),  # as Devstral Small 2 is published
        ("mistral3", "vision_config.rope_parameters.rope_theta", None, {"CFG022"}),
        ("mistral3", "vision_config.head_dim", 33, {"CFG022"}),
        ("qwen3-vl", "vision_config.deepstack_visual_indexes", [0, 0], {"TEN025"}),
        ("qwen3-vl", "vision_config.deepstack_visual_indexes", [], {"TEN024"}),
        ("Blip2ForConditionalGeneration", "num_query_tokens", 33, {"TEN026"}),
        ("GlmOcrForConditionalGeneration", "vision_config.depth", 3, {"TEN025"}),
        ("llama4", "vision_config.hidden_act", "quick", set()),  # its class reads none
        ("AriaForConditionalGeneration", "vision_config.model_type", "wonderful", set()),  # nor this one a type
    ],
)
def test_one_value_of_a_tower(
    family: str, path: str, value: object, codes: set[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "m")
    edit_config(folder, change(path, value))
    assert errors(folder) == codes


def test_the_rules_of_a_type_of_tower_hold_in_wrappers_that_were_not_asked_about() -> None:
    tower = {"model_type": "siglip_vision_model", "hidden_size": 128, "num_attention_heads": 5, "hidden_act": "gelu"}
    config = {"model_type": "llava", "architectures": ["WonderfulModel"], "vision_config": tower}
    assert dict(refused_by_towers(ModelConfig(config))) == {
        "vision_config.num_attention_heads": "5 does not divide hidden_size = 128"
    }


def test_a_number_by_its_other_name_and_by_default() -> None:
    config = ModelConfig({"model_type": "qwen2_audio", "audio_config": {"encoder_layers": 4, "hidden_size": 64}})
    assert tower_number(config, "audio_config.d_model") == 64
    assert tower_number(config, "audio_config.num_mel_bins") == 128
    assert tower_number(config, "audio_config.encoder_layers") == 4
    assert tower_number(config, "audio_config.wonders") is None
