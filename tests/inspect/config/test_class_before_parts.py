"""A group for one part of a fused layer, before the one for `Linear`: vLLM 0.32.0 takes the class's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import edit_config
from families import build
from inspecting import errors
from quantizing import quantize


@pytest.mark.parametrize(
    ("target", "by_class"),
    [("model.layers.0.mlp.up_proj", True), ("re:.*q_proj$", True), ("model.layers.0.mlp.up_proj", False)],
)
def test_another_group_for_one_part(target: str, by_class: bool, tmp_path: Path) -> None:
    quantize(build("llama", tmp_path / "dense"), tmp_path / "q")

    def regroup(config: dict[str, Any]) -> None:
        groups = config["quantization_config"]["config_groups"]
        for group in groups.values():
            if "Linear" in group["targets"] and not by_class:
                group["targets"] = ["re:.*(self_attn|mlp).*"]
        first = next(iter(groups.values()))
        four_bits = {**first, "targets": [target], "weights": {**first["weights"], "num_bits": 4}}
        config["quantization_config"]["config_groups"] = {"first": four_bits, **groups}

    edit_config(tmp_path / "q", regroup)
    assert errors(tmp_path / "q") == (set() if by_class else {"CFG015"})
