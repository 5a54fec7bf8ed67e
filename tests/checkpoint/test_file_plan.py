"""The planned layout against the library's own serializer: the same bytes, not merely the same tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from ctq.checkpoint.dtypes import DTYPES
from ctq.checkpoint.header import parse_header
from ctq.checkpoint.writer import PlannedFile, TensorSpec, plan_file
from ctq.errors import OutputError

NUMPY_DTYPES = {
    "BOOL": np.bool_,
    "U8": np.uint8,
    "I8": np.int8,
    "I16": np.int16,
    "U16": np.uint16,
    "F16": np.float16,
    "I32": np.int32,
    "U32": np.uint32,
    "F32": np.float32,
    "C64": np.complex64,
    "F64": np.float64,
    "I64": np.int64,
    "U64": np.uint64,
}

names = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12).filter(lambda name: name != "__metadata__")
shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)
tensors = st.dictionaries(names, st.tuples(st.sampled_from(sorted(NUMPY_DTYPES)), shapes), max_size=8)
one_key = st.none() | st.dictionaries(names, names, max_size=1)


def written(plan: PlannedFile, data: dict[str, bytes]) -> bytes:
    file = bytearray(plan.nbytes)
    file[: len(plan.header)] = plan.header
    for name, (start, end) in plan.offsets.items():
        assert end - start == len(data[name])
        file[start:end] = data[name]
    return bytes(file)


@given(tensors=tensors, metadata=one_key)
def test_equals_the_library_byte_for_byte(
    tensors: dict[str, tuple[str, tuple[int, ...]]], metadata: dict[str, str] | None
) -> None:
    assume(tensors or metadata != {})  # there safetensors 0.8.0 writes a header that is not JSON
    arrays = {
        name: np.frombuffer(np.random.default_rng(7).bytes(8 * 5**4), np.uint8)[
            : DTYPES[dtype].bits // 8 * int(np.prod(shape))
        ]
        .view(NUMPY_DTYPES[dtype])
        .reshape(shape)
        for name, (dtype, shape) in tensors.items()
    }
    plan = plan_file([TensorSpec(name, dtype, shape) for name, (dtype, shape) in tensors.items()], metadata)
    expected = safetensors.numpy.save(arrays, metadata=metadata)
    assert written(plan, {name: array.tobytes() for name, array in arrays.items()}) == expected


def test_equals_the_library_for_every_torch_dtype() -> None:
    state: dict[str, torch.Tensor] = {}
    specs: list[TensorSpec] = []
    for dtype in DTYPES.values():
        if dtype.torch_name is not None and (torch_dtype := getattr(torch, dtype.torch_name, None)) is not None:
            raw = torch.arange(6 * dtype.bits // 8, dtype=torch.uint8) % 2
            state[f"of.{dtype.name}"] = raw.view(torch_dtype).reshape(2, 3)
            specs.append(TensorSpec(f"of.{dtype.name}", dtype.name, (2, 3)))
    assert len(specs) >= 19
    data = {name: tensor.view(torch.uint8).numpy().tobytes() for name, tensor in state.items()}
    plan = plan_file(reversed(specs), {"format": "pt"})
    assert written(plan, data) == safetensors.torch.save(state, metadata={"format": "pt"})


def test_equals_the_library_for_sub_byte_dtypes() -> None:
    pairs = torch.arange(12, dtype=torch.uint8).view(torch.float4_e2m1fn_x2).reshape(2, 6)
    data = {"w": bytes(range(12)), "b": bytes(2)}
    plan = plan_file([TensorSpec("w", "F4", (2, 12)), TensorSpec("b", "I8", (2,))])
    assert written(plan, data) == safetensors.torch.save({"w": pairs, "b": torch.zeros(2, dtype=torch.int8)})


def test_offsets_are_counted_from_the_start_of_the_file() -> None:
    plan = plan_file([TensorSpec("b", "I8", (3,)), TensorSpec("a", "F32", (2, 2))])
    header = parse_header(plan.header[8:], plan.nbytes, file="planned")
    assert list(plan.offsets) == ["a", "b"]
    for name, (start, end) in plan.offsets.items():
        assert (start, end) == (
            header.data_start + header.tensors[name].start,
            header.data_start + header.tensors[name].end,
        )
    assert plan.offsets["b"][1] == plan.nbytes


def test_order_of_the_given_specs_does_not_matter() -> None:
    specs = [TensorSpec(f"t{number}", dtype, (4, number)) for number, dtype in enumerate(["I8", "BF16", "F32", "I8"])]
    assert plan_file(specs) == plan_file(specs[::-1])


def test_header_beyond_what_readers_accept_is_refused() -> None:
    specs = [TensorSpec("x" * 1_000_000 + str(number), "I8", (1,)) for number in range(101)]
    with pytest.raises(OutputError, match="more than the 100000000 that readers accept"):
        plan_file(specs)


@pytest.mark.parametrize(
    ("specs", "reason"),
    [
        ([TensorSpec("a", "I8", (1,)), TensorSpec("a", "F32", (1,))], "planned twice"),
        ([TensorSpec("a", "F4", (3,))], "ends inside a byte"),
    ],
)
def test_a_plan_that_no_caller_may_make(specs: list[Any], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        plan_file(specs)
