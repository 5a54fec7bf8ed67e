"""A quantization config of another method over dense weights: what vLLM makes of it depends on the method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors, quantization_config, tiny_checkpoint
from families import build
from inspecting import errors


@pytest.mark.parametrize(
    ("config", "codes"),
    [
        (quantization_config("gptq", head="dense"), {"CFG025"}),
        (quantization_config("fp8-native", head="dense"), {"CFG025"}),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, {"CFG025"}),
        (quantization_config("awq", head="dense"), set()),
        (quantization_config("awq", head="dense") | {"bits": None}, set()),
        ({"quant_method": "awq", "bits": 4}, {"CFG025"}),
        ({"quant_method": "torchao"}, set()),
    ],
    ids=["gptq", "fp8", "modelopt", "awq", "awq with null", "awq in part", "quantized while loading"],
)
def test_a_config_left_beside_dense_weights(config: dict[str, Any], codes: set[str], tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    edit_config(folder, lambda content: content.update(quantization_config=config))
    assert errors(folder) == codes


@pytest.mark.parametrize("part", ["weight_scale", "weight_scale_inv", "g_idx", "qzeros", "input_scale"])
def test_scales_that_were_left_when_weights_were_dequantized(part: str, tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    edit_tensors(folder, lambda tensors: tensors.update({f"{LAYER}.{part}": Raw("F32", (1,), bytes(4))}))
    assert errors(folder) == ({"CFG001"} if part == "weight_scale_inv" else {"TEN024"})


LAYER = "model.layers.1.mlp.down_proj"


def test_awq_takes_no_dense_experts(tmp_path: Path) -> None:
    folder = build("qwen3-moe", tmp_path / "m")
    edit_config(folder, lambda content: content.update(quantization_config=quantization_config("awq", head="dense")))
    assert errors(folder) == {"CFG025"}


@pytest.mark.parametrize(
    ("method", "arguments", "codes"),
    [
        ("gptq", {}, set()),
        ("gptq", {"desc_act": True}, {"CFG024"}),
        ("gptq", {"desc_act": True, "group_size": -1}, set()),
        ("gptq", {"dynamic": {"+:.*down_proj": {"desc_act": True}}}, {"CFG024"}),
        ("gptq", {"dynamic": {"-:.*down_proj": {"desc_act": True}}}, set()),
        ("gptq", {"sym": False}, {"CFG024"}),
        ("gptq", {"bits": 3}, {"CFG024"}),
        ("gptq", {"bits": "4"}, {"CFG024"}),
        ("gptq", {"bits": None}, {"CFG024"}),
        ("awq", {"bits": 8}, {"CFG024"}),
    ],
    ids=str,
)
def test_arguments_that_vllm_takes_no_more(
    method: str, arguments: dict[str, Any], codes: set[str], tmp_path: Path
) -> None:
    folder = tiny_checkpoint(tmp_path)
    config = {**quantization_config(method, head="dense"), **arguments}
    edit_config(folder, lambda content: content.update(quantization_config=config))
    assert errors(folder) & {"CFG024"} == codes


@pytest.mark.parametrize("value", ["compressed-tensors", [], 8], ids=str)
def test_a_config_that_is_no_object(value: object, tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    edit_config(folder, lambda content: content.update(quantization_config=value))
    assert errors(folder) == {"CFG022"}
    edit_config(folder, lambda content: content.update(quantization_config=None))
    assert errors(folder) == set()
