"""The head's arithmetic against independent ways of computing the same: numpy integers, and compressed-tensors' own unpacking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctq.engines.engine_args import EngineArgs
from ctq.engines.vllm.scheme_predicates import SchemeArgs
from ctq.verify.engines.builtin.arithmetic import can_dequantize, dequantize, exact_logits, kernel_logits

TOKEN = EngineArgs(strategy="token", dynamic=True)


def integers(*shape: int, low: int = -128, high: int = 128, seed: int = 0) -> torch.Tensor:
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed))


def floats(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def int8_args(**inputs: Any) -> SchemeArgs:
    return SchemeArgs(
        weights=EngineArgs(strategy="channel"), inputs=EngineArgs(**{"strategy": "token", "dynamic": True, **inputs})
    )


@given(tokens=st.integers(1, 40), columns=st.integers(1, 70), rows=st.integers(1, 90))
def test_int8_products_are_exact_for_every_shape(tokens: int, columns: int, rows: int) -> None:
    codes = integers(tokens, columns, low=-127, high=128)
    codes[:, 0] = 127  # so that the scale of every token is one, and its codes are the states themselves
    weight = integers(rows, columns, seed=2)
    parameters = {"weight": weight.to(torch.int8), "weight_scale": torch.ones(rows, 1)}
    logits = kernel_logits("W8A8Int8", int8_args(), parameters, codes.float())
    expected = codes.numpy().astype(np.int64) @ weight.numpy().astype(np.int64).T
    assert np.array_equal(logits.numpy().astype(np.int64), expected)


@pytest.mark.parametrize("inputs", [{}, {"symmetric": False}])
def test_dynamic_activations_err_by_half_a_step_at_most(inputs: dict[str, Any]) -> None:
    hidden, weight = floats(8, 64) + 0.5, integers(32, 64)
    parameters = {"weight": weight.to(torch.int8), "weight_scale": torch.full((32, 1), 0.01)}
    args = int8_args(**inputs)
    error = kernel_logits("W8A8Int8", args, parameters, hidden) - exact_logits(args, parameters, hidden)
    spread = hidden.amax(1) - hidden.amin(1) if inputs else 2 * hidden.abs().amax(1)
    bound = (spread / 254)[:, None] * 0.51 * weight.abs().sum(1)[None] * 0.01
    assert bool((error.abs() <= bound).all())
    assert float(error.abs().max()) > 0


def test_static_activations_take_the_stored_scale() -> None:
    weight = integers(16, 32)
    parameters = {
        "weight": weight.to(torch.int8),
        "weight_scale": torch.ones(16, 1),
        "input_scale": torch.tensor([0.5]),
    }
    hidden = integers(4, 32, low=-100, high=100, seed=3).float() * 0.5
    args = int8_args(strategy="tensor", dynamic=False)
    assert torch.equal(kernel_logits("W8A8Int8", args, parameters, hidden), hidden @ weight.float().T)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("rows", "columns", "group"), [(12, 64, 16), (7, 40, 40), (9, 36, 12)])
def test_packed_weights_unpack_as_compressed_tensors_does(
    bits: int, symmetric: bool, rows: int, columns: int, group: int
) -> None:
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    half = 1 << (bits - 1)
    codes = integers(rows, columns, low=-half, high=half).to(torch.int8)
    zero = integers(rows, columns // group, low=-half, high=half, seed=4).to(torch.int8)
    scale = floats(rows, columns // group).abs() + 0.1
    parameters = {"weight_packed": pack_to_int32(codes, bits), "weight_scale": scale}
    if not symmetric:
        parameters["weight_zero_point"] = pack_to_int32(zero, bits, packed_dim=0).contiguous()
    args = SchemeArgs(weights=EngineArgs(num_bits=bits, strategy="group", group_size=group, symmetric=symmetric))
    found = torch.empty(rows, columns)
    for start in range(0, rows, 3):  # blocks that begin inside a word of zero points
        part = slice(start, min(start + 3, rows))
        dequantize(args, parameters, part, found[part])
    shift = 0 if symmetric else zero.repeat_interleave(group, 1).float()
    assert torch.equal(found, (codes.float() - shift) * scale.repeat_interleave(group, 1))


def test_weight_only_heads_round_as_the_models_dtype_does() -> None:
    weight, hidden = integers(8, 16), floats(3, 16)
    scale = (floats(8, 1).abs() + 0.1).to(torch.bfloat16)
    words = (weight + 128).to(torch.uint8).view(torch.int32)
    parameters = {"weight_packed": words, "weight_scale": scale}
    args = SchemeArgs(weights=EngineArgs(strategy="channel"))
    rounded = (weight.float() * scale.float()).to(torch.bfloat16).float()
    assert torch.allclose(kernel_logits("WNA16", args, parameters, hidden), hidden @ rounded.T, atol=1e-4)
    assert torch.allclose(
        exact_logits(args, parameters, hidden), hidden @ (weight.float() * scale.float()).T, atol=1e-4
    )


def test_a_bias_is_added() -> None:
    parameters = {"weight": floats(4, 8), "bias": torch.arange(4.0)}
    hidden = floats(2, 8, seed=5)
    expected = hidden @ parameters["weight"].T + parameters["bias"]
    assert torch.allclose(kernel_logits(None, None, parameters, hidden), expected, atol=1e-5)


def test_groups_of_columns_in_an_order_of_their_own_are_not_taken_apart() -> None:
    grouped = EngineArgs(strategy="group", group_size=64)
    ordered = EngineArgs(strategy="group", group_size=64, actorder="group")
    assert [can_dequantize(SchemeArgs(weights=weights)) for weights in (grouped, ordered)] == [True, False]
