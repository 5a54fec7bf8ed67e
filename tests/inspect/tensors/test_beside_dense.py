"""Parts of quantized layers beside dense weights, as the real vLLM 0.32.0 answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors
from inspecting import error_list
from quantizing import quantize

from ctq.recipe.recipe import Recipe

ONE = Raw("F32", (1,), bytes(4))


@pytest.mark.parametrize(
    ("family", "module", "part", "codes"),
    [
        ("llama", r"model\.norm", "input_scale", ["TEN035"]),
        ("llama", r"model\.embed_tokens", "weight_zero_point", ["TEN035"]),
        ("llama", r"model\.embed_tokens", "g_idx", []),  # dropped wherever there is a config
        ("qwen3-moe", r".*\.mlp\.gate", "weight_g_idx", ["TEN035"]),
        ("qwen3-moe", r".*\.mlp\.gate", "input_scale", []),  # an ending that its loader passes over
        ("deepseek-v3", r".*\.mlp\.gate", "input_zero_point", ["TEN035"]),
        ("llava", r".*vision_model\.encoder\.layers\.0\.self_attn\.q_proj", "input_scale", ["TEN035"]),
        ("llava-onevision", r".*multi_modal_projector\.linear_2", "weight_g_idx", ["TEN035"]),
    ],
)
def test_a_dense_layer_has_no_such_part(
    family: str, module: str, part: str, codes: list[str], checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "q"
    quantize(checkpoint(family), folder, Recipe(lm_head=False))
    assert error_list(folder) == []
    edit_tensors(folder, lambda tensors: put(tensors, module, part))
    assert error_list(folder) == codes


def test_all_that_are_found_are_one_error(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "q"
    quantize(checkpoint("llama"), folder, Recipe(lm_head=False))
    for module in (r"model\.norm", r"model\.embed_tokens", r".*\.input_layernorm"):
        edit_tensors(folder, lambda tensors, module=module: put(tensors, module, "input_scale"))
    assert error_list(folder) == ["TEN035"]


def put(tensors: dict[str, Raw], module: str, part: str) -> None:
    owners = {name.removesuffix(".weight") for name in tensors if re.fullmatch(rf"{module}\.weight", name)}
    assert owners
    tensors.update({f"{owner}.{part}": ONE for owner in owners})
