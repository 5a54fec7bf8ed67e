"""Layers that vLLM's loader fuses under names of its own: TeleChat 2 has a query, and one tensor of keys and values."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import Raw, edit_config, edit_tensors, tiny_checkpoint
from inspecting import errors
from quantizing import quantize

from ctq.recipe.recipe import BodyGroup, Recipe
from ctq.recipe.schemes import SCHEMES

LAYER = "model.layers.{}.self_attn."


def telechat(folder: Path) -> Path:
    """Write a model with TeleChat 2's attention; the rest is Llama's."""
    tiny_checkpoint(folder)

    def fuse(tensors: dict[str, Raw]) -> None:
        for layer in (LAYER.format(number) for number in range(2)):
            tensors[f"{layer}query.weight"] = tensors.pop(f"{layer}q_proj.weight")
            key, value = (tensors.pop(f"{layer}{part}_proj.weight") for part in "kv")
            shape = (key.shape[0] + value.shape[0], key.shape[1])
            tensors[f"{layer}key_value.weight"] = Raw(key.dtype, shape, key.data + value.data)

    edit_tensors(folder, fuse)
    edit_config(folder, lambda config: config.update(architectures=["TeleChat2ForCausalLM"]))
    return folder


@pytest.mark.parametrize(
    ("ignore", "served"),
    [("re:.*key_value$", False), ("re:.*(query|key_value)$", False), ("re:.*(query|key_value|qkv_proj)$", True)],
)
def test_a_part_left_dense_takes_the_whole_fused_layer_with_it(ignore: str, served: bool, tmp_path: Path) -> None:
    packed = BodyGroup(targets=("Linear",), scheme=SCHEMES["W8A16"])
    quantize(telechat(tmp_path / "m"), tmp_path / "q", Recipe(body=(packed,), ignore=(ignore,)))
    assert ("TEN027" not in errors(tmp_path / "q")) is served
