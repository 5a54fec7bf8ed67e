"""Forms and schemes in words, for every way of storing that inspection knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from builders import edit_tensors, tiny_quantized

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.modules.forms import Form, stored_form
from ctq.inspect.modules.grouping import Part
from ctq.inspect.report import inspect_checkpoint
from ctq.recipe.schemes import QuantArgs

if TYPE_CHECKING:
    from pathlib import Path

    from raw_safetensors import Raw

WORDS = {
    "w8a8": ("int8 per-channel", "int8 per-token dynamic", "int-quantized"),
    "w8a8-static": ("int8 per-channel", "int8 per-tensor static", "int-quantized"),
    "w8a16": ("int8 group 128", None, "pack-quantized"),
    "w8a16-g32": ("int8 group 32", None, "pack-quantized"),
    "w8a16-channel": ("int8 per-channel", None, "pack-quantized"),
    "w8a16-asym": ("int8 group 128 asymmetric", None, "pack-quantized"),
    "w4a16": ("int4 group 128", None, "pack-quantized"),
    "w4a16-channel": ("int4 per-channel", None, "pack-quantized"),
    "mixed": ("int8 per-channel", "int8 per-token dynamic", "int-quantized"),
    "naive": ("int8 per-channel", "int8 per-token dynamic", "int-quantized"),
    "fp8": ("fp8 per-channel", "fp8 per-token dynamic", "float-quantized"),
    "fp8-block": ("fp8 block", "fp8 group 128 dynamic", "float-quantized"),
    "nvfp4": ("nvfp4 group 16", "fp4 group 16 dynamic", "nvfp4-pack-quantized"),
    "mxfp4": ("mxfp4 group 32", "fp4 group 32 dynamic", "mxfp4-pack-quantized"),
    "mxfp8": ("mxfp8 group 32", "fp8 group 32 dynamic", "mxfp8-quantized"),
    "gptq": ("gptq int4 group 128", None, "gptq"),
    "awq": ("awq int4 group 128", None, "awq"),
    "bnb-int8": ("bitsandbytes int8", None, "bitsandbytes-int8"),
    "bnb-nf4": ("bitsandbytes 4-bit", None, "bitsandbytes-4bit"),
    "fp8-native": ("fp8", None, "fp8"),
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_layer_is_named_as_it_is_stored(kind: str, tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, kind=kind, head="dense")
    modules = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).to_json()["modules"]
    layer = next(module for module in modules if module["name"] == "model.layers.1.mlp.down_proj")
    assert (layer["scheme"], layer["activations"], layer["format"]) == WORDS[kind]
    assert layer["state"] == "quantized"


def test_gptq_without_the_order_of_columns_is_no_awq(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, kind="gptq", head="dense")

    def change(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.endswith(".g_idx")]:
            del tensors[name]

    edit_tensors(folder, change)
    modules = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).to_json()["modules"]
    quantized = {(module["scheme"], module["format"]) for module in modules if module["state"] == "quantized"}
    assert quantized == {("gptq int4 group 128", "gptq")}


@pytest.mark.parametrize(
    ("codes", "scales", "ordered", "form"),
    [
        ((16, 64), (1, 64), False, Form.GPTQ),  # 128 inputs of four bits, 64 outputs
        ((32, 64), (1, 64), False, Form.GPTQ),
        ((128, 8), (1, 64), True, Form.AWQ),  # an order of columns beside what is packed along the output
        ((128, 16), (1, 64), False, Form.AWQ),
        ((16, 64), (1, 60), True, Form.GPTQ),  # shapes of no layout
        ((16, 64), (1, 60), False, Form.AWQ),
        ((16, 64), None, True, Form.GPTQ),
        ((16, 64), (), True, Form.GPTQ),
        ((), (1, 64), False, Form.AWQ),
    ],
)
def test_gptq_and_awq_are_told_by_what_they_pack_along(
    codes: tuple[int, ...], scales: tuple[int, ...] | None, ordered: bool, form: Form
) -> None:
    parts = {"qweight": Part("I32", codes)} | ({"scales": Part("F16", scales)} if scales is not None else {})
    assert stored_form(parts | ({"g_idx": Part("I32", (128,))} if ordered else {})) is form


@pytest.mark.parametrize(
    ("parts", "form"),
    [
        ({"weight": Part("F8_E4M3", (4, 4)), "weight_scale": Part("F32", ()), "input_scale": Part("F32", ())}, Form.FLOAT),
        ({"weight": Part("U8", (4, 2)), "weight_scale": Part("F8_E4M3", (4, 1)), "weight_scale_2": Part("F32", ())},
         Form.MODELOPT_FP4),
        ({"weight": Part("F8_E4M3", (4, 4)), "weight_scale_2": Part("F32", ())}, Form.FP8),
        ({"blocks": Part("U8", (2, 4, 2, 16)), "scales": Part("U8", (2, 4, 2)), "bias": Part("BF16", (2, 4))}, Form.MXFP4_BLOCKS),
        ({"weight": Part("U32", (4, 1)), "scales": Part("BF16", (4, 1)), "biases": Part("BF16", (4, 1))}, Form.MLX),
        ({"k_scale": Part("F32", ()), "v_scale": Part("F32", ())}, Form.PLAIN),
        ({"weight": Part("I64", (4,))}, Form.INT),
        ({"weight": Part("BF16", (4, 4)), "weight_scale": Part("BF16", (4, 1))}, Form.FROZEN),
        ({"weight_shape": Part("I64", (2,))}, Form.NO_WEIGHT),
    ],
)  # fmt: skip
def test_forms_are_told_from_names_and_dtypes(parts: dict[str, Part], form: Form) -> None:
    assert stored_form(parts) is form


def test_bits_of_packed_weights_come_from_the_config() -> None:
    from ctq.inspect.modules.forms import describe

    parts = {"weight_packed": Part("I32", (8, 16)), "weight_scale": Part("BF16", (8, 1))}
    four = describe(parts, QuantArgs(num_bits=4), None)
    assert (four.bits, four.columns) == (4, 128)
    assert describe(parts, None, 64).bits == 8
    assert describe(parts, None, None).bits is None
