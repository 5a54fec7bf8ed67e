"""What stands beside a wrapper's text model: its sizes, its layers and its pieces, against the configs of its towers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors
from quantizing import quantize
from rtn_family import quantize_family

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import InspectOptions, inspect_checkpoint

CheckpointFactory = Callable[..., Path]


def codes(folder: Path) -> set[str]:
    report = inspect_checkpoint(open_checkpoint(LocalFolder(folder)), InspectOptions())
    return {finding.code for finding in report.findings if finding.severity is Severity.ERROR}


def number(tower: str, key: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda config: config[tower].update({key: value})


@pytest.mark.parametrize(
    ("family", "tower", "key", "value"),
    [
        ("llava", "vision_config", "intermediate_size", 512),
        ("qwen3.5-vl", "vision_config", "spatial_merge_size", 4),
        ("qwen2-audio", "audio_config", "num_mel_bins", 32),
        ("llava", "vision_config", "image_size", 56),
        ("PaddleOCRVLForConditionalGeneration", "vision_config", "patch_size", 7),
    ],
)
def test_sizes_of_a_tower_against_its_config(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, tower: str, key: str, value: int
) -> None:
    quantize(checkpoint(family), tmp_path / "q")
    assert codes(tmp_path / "q") == set()
    edit_config(tmp_path / "q", number(tower, key, value))
    assert codes(tmp_path / "q") == {"TEN026"}


def around_siglip(folder: Path) -> None:
    """Make a LLaVA around SigLIP of a LLaVA-OneVision, which the former was not learnt with."""
    edit_config(
        folder, lambda config: config.update(architectures=["LlavaForConditionalGeneration"], model_type="llava")
    )
    edit_tensors(folder, lambda tensors: tensors.pop("image_newline", None) and None)


@pytest.mark.parametrize("before", ["", "model."])
@pytest.mark.parametrize(
    "lost",
    [
        "vision_tower.vision_model.encoder.layers.0.layer_norm1.",
        "vision_tower.vision_model.embeddings.patch_embedding.bias",
        "multi_modal_projector.linear_1.",
    ],
)
def test_a_tower_that_another_wrapper_was_learnt_with(
    checkpoint: CheckpointFactory, tmp_path: Path, lost: str, before: str
) -> None:
    folder = tmp_path / "q"
    quantize(checkpoint("llava-onevision"), folder)
    around_siglip(folder)

    def call(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.startswith(("vision_tower.", "multi_modal_projector."))]:
            tensors[f"{before}{name}"] = tensors.pop(name)

    edit_tensors(folder, call)
    assert codes(folder) == set()

    def lose(tensors: dict[str, Raw]) -> None:
        found = [name for name in tensors if lost in name]
        assert found
        for name in found:
            del tensors[name]

    edit_tensors(folder, lose)
    assert codes(folder) == {"TEN025"}


def test_the_sizes_of_such_a_tower(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = tmp_path / "q"
    quantize(checkpoint("llava-onevision"), folder)
    around_siglip(folder)
    edit_config(folder, number("vision_config", "intermediate_size", 512))
    assert codes(folder) == {"TEN026"}


def test_a_tower_under_another_kind(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llava"), tmp_path / "q")
    edit_config(tmp_path / "q", lambda config: config["vision_config"].update(model_type="siglip_vision_model"))
    assert "TEN024" in codes(tmp_path / "q")


@pytest.mark.parametrize(("layers", "code"), [(0, "TEN024"), (2, "TEN025")])
def test_layers_of_a_tower_too_many_or_too_few(
    checkpoint: CheckpointFactory, tmp_path: Path, layers: int, code: str
) -> None:
    quantize(checkpoint("glm4v"), tmp_path / "q")
    edit_config(tmp_path / "q", number("vision_config", "depth", layers))
    assert codes(tmp_path / "q") == {code}


def test_the_last_layers_of_a_tower_that_vllm_does_not_build(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llava"), tmp_path / "q")
    edit_config(tmp_path / "q", number("vision_config", "num_hidden_layers", 2))
    assert codes(tmp_path / "q") == {"TEN025"}
    edit_config(tmp_path / "q", lambda config: config.update(vision_feature_layer=-2))
    assert codes(tmp_path / "q") == set()


@pytest.mark.parametrize(
    ("family", "lost", "code"),
    [
        ("paligemma", "multi_modal_projector.linear.weight", "TEN025"),
        ("Exaone4_5_ForConditionalGeneration", "model.visual.merger.mlp.2.weight", "TEN025"),
        ("llava", "vision_tower.vision_model.post_layernorm.weight", None),  # which vLLM leaves unread
    ],
)
def test_a_lost_piece(checkpoint: CheckpointFactory, tmp_path: Path, family: str, lost: str, code: str | None) -> None:
    quantize(checkpoint(family), tmp_path / "q")

    def lose(tensors: dict[str, Raw]) -> None:
        del tensors[lost]

    edit_tensors(tmp_path / "q", lose)
    assert codes(tmp_path / "q") == ({code} if code else set())


@pytest.mark.parametrize("family", ["PaddleOCRVLForConditionalGeneration", "Exaone4_5_ForConditionalGeneration"])
def test_prefixes_that_a_wrapper_does_not_know(checkpoint: CheckpointFactory, tmp_path: Path, family: str) -> None:
    quantize(checkpoint(family), tmp_path / "q")

    def rename(tensors: dict[str, Raw]) -> None:
        names = [name for name in tensors if ".layers." in name and "vis" not in name]
        assert names
        tensors.update({f"policy.{name}": tensors.pop(name) for name in names})

    edit_tensors(tmp_path / "q", rename)
    assert "TEN024" in codes(tmp_path / "q")


def test_a_tensor_inside_the_quantized_head_of_a_wrapper(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("Exaone4_5_ForConditionalGeneration"), tmp_path / "q")

    def add(tensors: dict[str, Raw]) -> None:
        tensors["lm_head.R1.weight"] = next(raw for name, raw in tensors.items() if name.endswith("k_norm.weight"))

    edit_tensors(tmp_path / "q", add)
    assert len(codes(tmp_path / "q")) == 1


def test_the_config_of_a_tower_may_lie_beside_that_of_the_text_model(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    quantize(checkpoint("Qwen3ASRForConditionalGeneration"), tmp_path / "q")

    def nest(config: dict[str, Any]) -> None:
        config["thinker_config"] = {key: config.pop(key) for key in ("audio_config", "text_config")}

    edit_config(tmp_path / "q", nest)
    assert codes(tmp_path / "q") == set()
    edit_config(tmp_path / "q", lambda config: config["thinker_config"].pop("audio_config"))
    assert codes(tmp_path / "q") == {"CFG022"}


def test_counters_of_norms_are_integers(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("learnt-GraniteSpeechForConditionalGeneration"), tmp_path / "q")
    assert codes(tmp_path / "q") == set()


def test_a_tower_without_its_own_model_inside(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    quantize(checkpoint("llava-onevision"), tmp_path / "q")
    around_siglip(tmp_path / "q")
    edit_tensors(tmp_path / "q", flat)
    assert "TEN024" in codes(tmp_path / "q")


def flat(tensors: dict[str, Raw]) -> None:
    for name in [name for name in tensors if ".vision_model." in name]:
        tensors[name.replace(".vision_model.", ".")] = tensors.pop(name)


def test_a_convolution_is_no_linear_layer(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = quantize_family(checkpoint("qwen2.5-vl"), tmp_path / "q", kind="w8a8", head=False)
    assert codes(folder) == set()


def test_layers_of_a_tower_that_are_ignored_as_the_engine_calls_them(
    checkpoint: CheckpointFactory, tmp_path: Path
) -> None:
    quantize(checkpoint("qwen2.5-vl"), tmp_path / "q")
    tensors = open_checkpoint(LocalFolder(tmp_path / "q")).tensors
    layers = sorted({name.rpartition(".")[0] for name in tensors if "visual." in name})

    def name_them(config: dict[str, Any], prefix: str) -> None:
        quantization = config["quantization_config"]
        quantization["ignore"] = [prefix + name.removeprefix("model.") for name in layers] + ["lm_head"]

    edit_config(tmp_path / "q", lambda config: name_them(config, "model."))
    assert codes(tmp_path / "q") == set()
    edit_config(tmp_path / "q", lambda config: name_them(config, "elsewhere."))
    assert codes(tmp_path / "q") == {"TEN007"}
