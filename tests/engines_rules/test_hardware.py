"""Where schemes run: the kernels' conditions, and the notes made of them."""

from __future__ import annotations

import pytest

from ctq.engines.hardware import KERNELS, Layer, group_sizes, hardware_notes, kernels_for
from ctq.recipe.schemes import GROUP_SIZES


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (Layer(group_size=128), {"Machete", "Marlin", "Conch", "Exllama", "Humming"}),
        (Layer(), {"Machete", "Marlin", "Conch", "Humming"}),
        (Layer(group_size=32), {"Marlin", "Exllama", "Humming"}),
        (Layer(group_size=256), {"Exllama", "Humming"}),
        (Layer(group_size=128, symmetric=False), {"Machete", "Conch", "Humming"}),
        (Layer(group_size=128, columns=96), {"Marlin", "Conch", "Exllama", "Humming"}),
        (Layer(group_size=128, columns=4096, rows_per_rank=1000), {"Marlin", "Conch", "Exllama", "Humming"}),
    ],
)
def test_weight_only_kernels_on_cuda(layer: Layer, names: set[str]) -> None:
    assert {kernel.name for kernel in kernels_for("W8A16", layer)} == names


def test_no_weight_only_kernel_on_cpus_and_one_for_int8() -> None:
    assert kernels_for("W8A16", Layer(group_size=128), platform="cpu") == ()
    assert [kernel.name for kernel in kernels_for("W8A8", Layer(), platform="cpu")] == ["oneDNN"]


def test_groups_that_can_be_written_are_those_of_the_kernels() -> None:
    assert group_sizes("W8A16") == GROUP_SIZES
    assert group_sizes("W8A8") == ()


def test_int8_runs_on_triton_where_cutlass_does_not_fit() -> None:
    assert [kernel.name for kernel in kernels_for("W8A8Int8", Layer(columns=100))] == ["Triton"]


def test_notes_name_the_hardware() -> None:
    assert "10.0 and later (Blackwell) not by default" in hardware_notes("W8A8")[0]
    assert "Blackwell too" in hardware_notes("W8A16")[0]
    assert hardware_notes("W8A8") == hardware_notes("W8A8Int8")
    assert hardware_notes("NVFP4") == ()


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Layer(group_size=128), None),
        (Layer(group_size=32), "on Marlin, not on the faster Machete"),
        (Layer(group_size=256), "only Exllama"),
        (Layer(group_size=128, symmetric=False), "only Machete (Hopper, 9.0)"),
    ],
)
def test_notes_say_what_the_numbers_cost(layer: Layer, words: str | None) -> None:
    notes = hardware_notes("W8A16", layer)
    assert len(notes) == (1 if words is None else 2)
    assert words is None or words in notes[1]


def test_the_table_is_sound() -> None:
    for kernel in KERNELS:
        assert (kernel.platform == "cuda") == (kernel.capability is not None), kernel
