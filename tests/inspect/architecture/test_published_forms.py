"""Forms in which models are published that transformers does not write any more, and that vLLM reads all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors
from families import build
from inspecting import errors


def test_bloom_calls_its_width_otherwise(tmp_path: Path) -> None:
    folder = build("bloom", tmp_path / "bloom")
    edit_config(folder, lambda config: config.update(n_embed=config.pop("hidden_size")))
    assert errors(folder) == set()
    edit_config(folder, lambda config: config.update(hidden_size=64))  # which the other name wins over
    assert errors(folder) == set()
    edit_config(folder, lambda config: config.pop("n_embed"))
    assert errors(folder) == {"TEN026"}


def test_a_projector_without_the_norm_that_its_switch_leaves_out(tmp_path: Path) -> None:
    folder = build("lfm2-vl", tmp_path / "lfm2-vl", config={"projector_use_layernorm": False})
    assert errors(folder) == set()
    edit_config(folder, lambda config: config.update(projector_use_layernorm=True))
    assert errors(folder) == {"TEN025"}


def test_a_router_of_deepseek_v2_may_have_a_correction(tmp_path: Path) -> None:
    folder = build("deepseek-v2", tmp_path / "deepseek-v2")

    def correct(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.endswith("mlp.gate.weight")]:
            experts, _ = tensors[name].shape
            tensors[f"{name.removesuffix('weight')}e_score_correction_bias"] = Raw(
                "F32", (experts,), bytes(4 * experts)
            )

    def state(method: str) -> Any:
        return lambda config: config.update(topk_method=method)

    assert errors(folder) == set()
    edit_tensors(folder, correct)
    edit_config(folder, state("noaux_tc"))
    assert errors(folder) == set()
    edit_config(folder, state("greedy"))
    assert errors(folder) == {"TEN032"}


PIXTRAL = {
    "model_type": "pixtral", "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4,
    "image_size": 28, "patch_size": 14, "num_channels": 3, "head_dim": 32,
}  # fmt: skip


def test_a_tower_of_another_type_than_usual(tmp_path: Path) -> None:
    """A Pixtral's, which has no ``vision_model`` inside as the CLIP has that is usual in a LLaVA."""
    folder = build("llava", tmp_path / "llava", config={"vision_config": PIXTRAL, "vision_feature_layer": -1})
    assert errors(folder) == {"TEN025"}

    def name_as_published(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if ".vision_model." in name]:
            tensors[name.replace(".vision_model.", ".")] = tensors.pop(name)

    edit_tensors(folder, name_as_published)
    assert errors(folder) == set()

    def drop_the_tower(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if "vision_tower" in name]:
            del tensors[name]

    edit_tensors(folder, drop_the_tower)
    assert errors(folder) == {"TEN025"}


@pytest.mark.parametrize(("family", "is_taken"), [("qwen3-next", True), ("jamba", False)])
def test_a_convolution_with_its_kernel_as_mlx_has_it(family: str, is_taken: bool, tmp_path: Path) -> None:
    folder = build(family, tmp_path / family)

    def turn(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.endswith("conv1d.weight")]:
            raw = tensors[name]
            tensors[name] = Raw(raw.dtype, (raw.shape[0], raw.shape[2], 1), raw.data)

    edit_tensors(folder, turn)
    assert errors(folder) == (set() if is_taken else {"TEN026"})


def test_an_image_that_patches_do_not_fill(tmp_path: Path) -> None:
    """SigLIP at 384 with patches of 14, as LLaVA and Granite Vision have it: what vLLM asks of CLIP it does not ask of that."""
    tower = {key: value for key, value in PIXTRAL.items() if key != "head_dim"}
    siglip = {**tower, "model_type": "siglip_vision_model", "image_size": 29, "vision_use_head": False}
    folder = build(
        "llava", tmp_path / "llava", config={"vision_config": siglip, "vision_feature_select_strategy": "full"}
    )
    assert errors(folder) == set()


def test_gpt2_under_its_first_names_and_with_its_masks(tmp_path: Path) -> None:
    folder = build("gpt2", tmp_path / "gpt2")

    def first(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.startswith("transformer.")]:
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        masks = {name.replace("ln_1.weight", "attn.bias") for name in tensors if name.endswith("ln_1.weight")}
        tensors.update(dict.fromkeys(masks, Raw("F32", (1, 1, 4, 4), bytes(64))))

    edit_tensors(folder, first)
    assert errors(folder) == set()
