"""Tensors become sets of alike modules, and sets one folded name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ctq.checkpoint.header import TensorInfo
from ctq.inspect.modules.fold import counted_name, folded_name
from ctq.inspect.modules.grouping import ModuleSet, group_modules
from ctq.inspect.modules.parts import split_odd

if TYPE_CHECKING:
    from collections.abc import Iterable


def tensors(*rows: tuple[str, str, tuple[int, ...]]) -> dict[str, TensorInfo]:
    return {name: TensorInfo(name, dtype, shape, 0, 0) for name, dtype, shape in rows}


def weights(names: Iterable[str], shape: tuple[int, ...] = (4, 4)) -> dict[str, TensorInfo]:
    return tensors(*((f"{name}.weight", "BF16", shape) for name in names))


def shown(sets: list[ModuleSet]) -> list[str]:
    return [counted_name(modules) for modules in sets]


@pytest.mark.parametrize(
    ("names", "folded"),
    [
        (["lm_head"], ["lm_head"]),
        ([f"model.layers.{number}.up" for number in range(32)], ["model.layers.{0-31}.up x32"]),
        ([f"h.{number}.up" for number in (0, 1, 2, 5)], ["h.{0-2,5}.up x4"]),
        ([f"h.{number}.up" for number in (0, 2, 4, 6, 8, 10)], ["h.{0,2,4,...,10}.up x6"]),
        ([f"m.{layer}.e.{expert}.w" for layer in (3, 4) for expert in range(256)], ["m.{3-4}.e.{0-255}.w x512"]),
        ([f"m.0.e.{expert}.w" for expert in range(8)], ["m.0.e.{0-7}.w x8"]),
        (["visual.merger.mlp.0", "visual.merger.mlp.2"], ["visual.merger.mlp.{0,2} x2"]),
        (["w1", "w2"], ["w1", "w2"]),
        (["a.00001234567890.w", "a.1.w"], ["a.00001234567890.w", "a.1.w"]),
    ],
)
def test_names_that_differ_in_numbers_alone_are_folded(names: list[str], folded: list[str]) -> None:
    assert shown(group_modules(weights(names))) == folded


def test_modules_of_other_shapes_dtypes_or_parts_stay_apart() -> None:
    sets = group_modules(
        weights(["h.0.up", "h.1.up"])
        | weights(["h.2.up"], (8, 4))
        | tensors(("h.3.up.weight", "I8", (4, 4)), ("h.4.up.weight", "BF16", (4, 4)), ("h.4.up.bias", "BF16", (4,)))
    )
    assert shown(sets) == ["h.{0-1}.up x2", "h.2.up", "h.3.up", "h.4.up"]


def test_the_order_of_parts_in_the_file_makes_no_difference() -> None:
    first = tensors(("h.0.up.weight", "I8", (4, 4)), ("h.0.up.weight_scale", "BF16", (4, 1)))
    second = tensors(("h.1.up.weight_scale", "BF16", (4, 1)), ("h.1.up.weight", "I8", (4, 4)))
    [modules] = group_modules(first | second)
    assert modules.names == ("h.0.up", "h.1.up")
    assert list(modules.parts) == ["weight", "weight_scale"]
    assert modules.nbytes == 2 * (16 + 8)


def test_layers_beyond_the_models_own_stay_apart() -> None:
    sets = group_modules(weights(f"model.layers.{number}.up" for number in range(4)), layers=3)
    assert shown(sets) == ["model.layers.{0-2}.up x3", "model.layers.3.up"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("h.0.up.weight.absmax", ("h.0.up", "weight.absmax")),
        ("h.0.up.weight.quant_state.bitsandbytes__nf4", ("h.0.up", "weight.quant_state.bitsandbytes__nf4")),
        ("h.0.experts.gate_up_proj_blocks", ("h.0.experts.gate_up_proj", "blocks")),
        ("h.0.experts.gate_up_proj_scale_inv", ("h.0.experts.gate_up_proj", "weight_scale_inv")),
        ("h.0.experts.gate_up_proj", ("h.0.experts.gate_up_proj", "")),
        ("h.0.mixer.A_log", ("h.0.mixer.A_log", "")),
        ("h.0.router_scale", ("h.0.router_scale", "")),
    ],
)
def test_odd_names_are_split_by_the_method_that_wrote_them(name: str, split: tuple[str, str]) -> None:
    assert split_odd(name) == split


def test_a_tensor_without_a_dot_is_a_module_of_its_own() -> None:
    [modules] = group_modules(tensors(("weight", "F32", (2,))))
    assert (folded_name(modules), modules.first_tensors) == ("weight", ["weight"])
