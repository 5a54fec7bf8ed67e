"""Wrappers that vLLM's Transformers backend serves: what vLLM 0.32.0 loads of them is no finding, what it refuses is one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import all_tensors, edit_config, edit_tensors
from families import EVERY
from inspecting import error_list

CheckpointFactory = Callable[..., Path]
WRAPPERS = [name for name, family in EVERY.items() if family.processor]
HEALTHY: list[tuple[str, dict[str, Any]]] = [
    # Granite Vision reads four layers of its tower in LLaVA-NeXT.
    ("llava-next", {"config": {"vision_feature_layer": [-2, -1], "vision_config": {"num_hidden_layers": 2}}}),
    ("VideoLlavaForConditionalGeneration", {"config": {"vision_feature_layer": [-2, -1]}}),
    ("VipLlavaForConditionalGeneration", {"config": {"vision_feature_layers": [-1]}}),
    # SAM's layers with attention to all places have longer tables of positions.
    ("GotOcr2ForConditionalGeneration", {"config": {"vision_config": {"num_hidden_layers": 3}}}),
    ("GotOcr2ForConditionalGeneration", {"config": {"vision_config": {"use_abs_pos": False, "use_rel_pos": False}}}),
    ("DeepseekVLHybridForConditionalGeneration", {"config": {"high_res_vision_config": {"num_hidden_layers": 3}}}),
    ("JanusForConditionalGeneration", {"config": {"vision_config": {"mlp_ratio": 2.0}}}),
    ("Ovis2ForConditionalGeneration", {"config": {"vision_config": {"num_hidden_layers": 1}}}),
    ("HyperCLOVAXVisionV2ForConditionalGeneration", {"tied": False}),
]
LOST = [
    ("aya-vision", "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight"),
    ("Ovis2ForConditionalGeneration", "model.vision_tower.transformer.encoder.layers.1.rms_norm1.weight"),
    ("Idefics2ForConditionalGeneration", "model.connector.modality_projection.gate_proj.weight"),
    ("MllamaForConditionalGeneration", "multi_modal_projector.weight"),
    ("LightOnOcrForConditionalGeneration", "model.vision_projection.linear_1.weight"),
]


@pytest.mark.parametrize("family", WRAPPERS)
def test_as_transformers_saves_it(checkpoint: CheckpointFactory, family: str) -> None:
    assert error_list(checkpoint(family)) == []


@pytest.mark.parametrize(("family", "options"), HEALTHY)
def test_what_its_config_may_say(checkpoint: CheckpointFactory, family: str, options: dict[str, Any]) -> None:
    assert error_list(checkpoint(family, **options)) == []


@pytest.mark.parametrize(("family", "tensor"), LOST)
def test_a_tensor_beside_the_text_model_that_is_lost(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, tensor: str
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "lost")
    assert tensor in all_tensors(folder)
    edit_tensors(folder, lambda tensors: tensors.pop(tensor))
    assert error_list(folder)[:1] == ["TEN025"]


@pytest.mark.parametrize(("family", "tensor"), LOST)
def test_a_tensor_beside_the_text_model_that_it_does_not_have(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, tensor: str
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "strange")
    module, _, part = tensor.rpartition(".")
    edit_tensors(folder, lambda tensors: tensors.update({f"{module}_stranger.{part}": tensors[tensor]}))
    assert error_list(folder) == ["TEN024"]


@pytest.mark.parametrize(
    "family",
    [
        "Idefics2ForConditionalGeneration",
        "VideoLlavaForConditionalGeneration",
        "learnt-GraniteSpeechForConditionalGeneration",
    ],
)
def test_layers_that_the_text_models_class_assumes_beside_lists_of_other_parts(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "uncounted")
    edit_config(folder, lambda config: config["text_config"].pop("num_hidden_layers"))
    assert error_list(folder)[-1:] == ["TEN025"]
