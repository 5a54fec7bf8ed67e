"""GPT-2's layers, which transformers stores transposed and engines build as linear ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import edit_config
from families import build
from inspecting import errors

WEIGHTS = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True, "dynamic": False}


@pytest.mark.parametrize(
    ("group", "codes"),
    [
        ({"targets": ["Linear"], "ignore": ["lm_head"]}, {"TEN006"}),
        ({"targets": ["Linear"], "ignore": ["lm_head", r"re:.*\.(c_attn|c_proj|c_fc)$"]}, set()),
    ],
)
def test_a_class_target_reaches_them(group: dict[str, Any], codes: set[str], tmp_path: Path) -> None:
    folder = build("gpt2", tmp_path / "gpt2")
    method = {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "config_groups": {"group_0": {"targets": group["targets"], "weights": WEIGHTS}},
        "ignore": group["ignore"],
    }
    edit_config(folder, lambda config: config.update(quantization_config=method))
    assert errors(folder) & {"TEN006"} == codes
