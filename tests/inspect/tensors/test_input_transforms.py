"""A transform of inputs on layers that hold several: it must reach all parts of each by the names that the model gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import edit_config
from families import build
from inspecting import errors
from quantizing import quantize

from ctq.recipe.recipe import Recipe


def transformed(folder: Path, location: str, **applied: Any) -> Path:
    """State a transform of linear layers in the config of a quantized checkpoint."""
    apply = [{"targets": ["Linear"], "location": location, "inverse": False, "ignore": [], **applied}]
    groups = {"R1": {"type": "hadamard", "apply": apply, "randomize": False, "requires_grad": False}}
    edit_config(folder, lambda config: config["quantization_config"].update(transform_config={"config_groups": groups}))
    return folder


@pytest.mark.parametrize(
    ("family", "location", "applied", "found"),
    [
        ("llama", "input", {}, set()),
        ("qwen3-moe", "input", {}, set()),
        ("glm4", "input", {}, set()),
        ("qwen3-next", "input", {}, set()),
        ("qwen3.5", "input", {}, {"TEN027"}),
        ("glm4v", "input", {}, {"TEN027"}),
        ("phi3", "input", {}, {"TEN027"}),
        ("falcon", "input", {}, {"TEN027"}),
        ("granite-hybrid", "input", {}, {"TEN027"}),
        ("phi3", "weight_input", {}, set()),
        ("phi3", "input", {"targets": ["re:.*o_proj$"]}, set()),
        ("phi3", "input", {"ignore": ["re:.*(qkv|gate_up)_proj$"]}, set()),
        ("llama", "input", {"targets": ["re:.*q_proj$"]}, {"TEN027"}),
        ("llama", "input", {"targets": "re:.*[qkv]_proj$"}, set()),
        ("llama", "input", {"ignore": ["QKVParallelLinear"]}, set()),
    ],
)
def test_all_parts_of_a_layer_have_the_same_input(
    family: str, location: str, applied: dict[str, Any], found: set[str], tmp_path: Path
) -> None:
    quantize(build(family, tmp_path / "dense"), tmp_path / "out", Recipe(lm_head=False))
    assert errors(transformed(tmp_path / "out", location, **applied)) == found
