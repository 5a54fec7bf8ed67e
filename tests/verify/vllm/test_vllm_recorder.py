"""The worker's own parts that need no vLLM: what was written where, headers, and weights in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from builders import read_safetensors, tiny_quantized
from compressed_tensors.compressors.pack_quantized import unpack_from_int32
from hypothesis import given
from hypothesis import strategies as st

from ctq.verify.engines.vllm.worker.coverage import covered, intervals, union
from ctq.verify.engines.vllm.worker.cuts import partly_read
from ctq.verify.engines.vllm.worker.dequantize import dequantized_rows, unpack
from ctq.verify.engines.vllm.worker.faults import describe_exception
from ctq.verify.engines.vllm.worker.headers import read_headers, read_tensor
from ctq.verify.engines.vllm.worker.recorder import Recorder, Write, storage_key

if TYPE_CHECKING:
    from pathlib import Path


def meta(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def loaded(recorder: Recorder, tensor: torch.Tensor) -> int:
    return covered(recorder.writes.get(storage_key(tensor), []), start=0, end=tensor.numel())


def test_a_missing_part_of_a_fused_parameter_shows() -> None:
    qkv, q, v, recorder = meta(256, 128), meta(128, 128), meta(64, 128), Recorder()
    recorder.adopt("q", q)
    recorder.adopt("v", v)
    with recorder:
        qkv[:128].copy_(q)
        qkv.narrow(0, 192, 64).copy_(v)
    assert loaded(recorder, qkv) == 192 * 128
    assert recorder.origins[storage_key(qkv)].names == {"q", "v"}


def test_what_a_loader_leaves_of_a_tensor_shows() -> None:
    target, wide, whole, recorder = meta(4, 8), meta(4, 16), meta(4, 8), Recorder()
    recorder.adopt("wide", wide)
    recorder.adopt("whole", whole)
    with recorder:
        target.copy_(wide.narrow(1, 0, 8))
        target.copy_(whole[:2].float().new_empty(4, 8))
        for row in range(4):
            target[row].copy_(whole[row])
    read = {
        name: covered(recorder.reads.get(storage_key(tensor), ()), start=0, end=tensor.numel())
        for name, tensor in (("wide", wide), ("whole", whole))
    }
    assert read == {"wide": 32, "whole": 32}


def test_a_tensor_that_a_loader_widens_first_is_not_cut() -> None:
    target, whole, wide, recorder = meta(8, dtype=torch.float32), meta(8), meta(12), Recorder()
    recorder.adopt("whole", whole)
    recorder.adopt("wide", wide)
    with recorder:
        target.copy_(whole.float())
        target.copy_(wide.float()[:8])
    assert list(partly_read(recorder)) == [{"name": "wide", "elements": 12, "read": 8}]


def test_a_part_that_is_written_twice_counts_once() -> None:
    target, source, recorder = meta(4, 8), meta(2, 8), Recorder()
    with recorder:
        target[:2].copy_(source)
        target[1:3].copy_(source)
    assert loaded(recorder, target) == 24


def test_columns_of_a_transposed_view_are_found() -> None:
    target, source, recorder = meta(8, 4), meta(4, 2), Recorder()
    with recorder:
        target.t()[:, 2:4].copy_(source)
    assert loaded(recorder, target) == 8


def test_padding_that_is_filled_counts_as_written() -> None:
    target, source, recorder = meta(64, 4), meta(50, 4), Recorder()
    with recorder:
        target[:50].copy_(source)
        target[50:].fill_(0)
    assert loaded(recorder, target) == 256


def test_names_travel_through_moves_and_through_arithmetic() -> None:
    first, second, moved, computed = meta(2, 4), meta(2, 4), meta(4, 4), meta(2, 4)
    recorder = Recorder()
    recorder.adopt("first", first)
    recorder.adopt("second", second)
    with recorder:
        moved.copy_(torch.cat([first, second]).to(torch.float32).contiguous())
        computed.copy_(first * second)
    assert recorder.origins[storage_key(moved)].names == {"first", "second"}
    assert recorder.origins[storage_key(moved)].moved
    assert not recorder.origins[storage_key(computed)].moved
    (write,) = recorder.writes[storage_key(computed)]
    assert (write.kind, write.source_dtype) == ("copy", torch.bfloat16)


def test_a_dtype_that_is_converted_on_the_way_is_still_known() -> None:
    source, target, recorder = meta(4, dtype=torch.int8), meta(4), Recorder()
    recorder.adopt("weight", source)
    with recorder:
        target.copy_(source)
    (write,) = recorder.writes[storage_key(target)]
    assert (write.source_dtype, write.dtype) == (torch.int8, torch.bfloat16)


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)), max_size=4),
)
def test_coverage_agrees_with_writing_for_real(shape: list[int], cuts: list[tuple[int, int, int]]) -> None:
    real, writes = torch.zeros(shape), []
    for dim, start, length in cuts:
        dim %= len(shape)
        start %= shape[dim]
        part = real.narrow(dim, start, min(length, shape[dim] - start))
        part.fill_(1)
        region = (int(part.storage_offset()), tuple(part.shape), tuple(part.stride()))
        writes.append(Write("copy", *region, part.dtype, None, frozenset(), True))
    assert covered(writes, start=0, end=real.numel()) == int(real.sum())


def test_intervals_of_an_empty_region_and_of_a_scalar() -> None:
    assert list(intervals(5, (0, 3), (3, 1))) == []
    assert list(intervals(5, (), ())) == [(5, 6)]
    assert union([(0, 2), (1, 5), (7, 8)]) == 6


def test_headers_and_tensors_are_the_files_own(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "model", kind="w8a16", shards=2)
    files = [str(file) for file in folder.glob("*.safetensors")]
    entries = {entry.name: entry for entry in read_headers(files)}
    raw = {name: value for file in folder.glob("*.safetensors") for name, value in read_safetensors(file).items()}
    assert {name: entry.shape for name, entry in entries.items()} == {name: value.shape for name, value in raw.items()}
    assert all(
        read_tensor(entry).numpy(force=True).tobytes() == raw[name].data
        for name, entry in entries.items()
        if raw[name].dtype != "BF16"
    )


@pytest.mark.parametrize("kind", ["w8a16", "w8a16-asym", "w8a16-channel", "w4a16"])
def test_packed_weights_mean_what_compressed_tensors_says(tmp_path: Path, kind: str) -> None:
    folder = tiny_quantized(tmp_path / "model", kind=kind, shards=1)
    entries = {entry.name: entry for entry in read_headers([str(folder / "model.safetensors")])}
    parts = {
        name.rpartition(".")[2]: read_tensor(entry) for name, entry in entries.items() if name.startswith("lm_head.")
    }
    bits, rows = (4 if kind == "w4a16" else 8), 320
    codes = unpack_from_int32(parts["weight_packed"], bits, torch.Size((rows, 128))).float()
    scale, zero = parts["weight_scale"].float(), 0.0
    if "weight_zero_point" in parts:
        zero = unpack_from_int32(
            parts["weight_zero_point"], bits, torch.Size((rows, scale.shape[1])), packed_dim=0
        ).float()
        zero = zero.repeat_interleave(128 // scale.shape[1], 1)
    expected = (codes - zero) * scale.repeat_interleave(128 // scale.shape[1], 1)
    assert torch.equal(dequantized_rows(parts, 0, rows), expected)
    assert torch.equal(
        unpack(parts["weight_packed"], parts["weight_scale"], parts.get("weight_zero_point"), bits=bits), expected
    )


@pytest.mark.parametrize(
    ("error", "message", "flag"),
    [
        (
            ValueError("There is no module or parameter named 'lm_head.weight_scale' in X"),
            "There is no module",
            "unexpected",
        ),
        (NotImplementedError("Cannot copy out of meta tensor; no data!"), "Cannot copy out of meta", "without_bytes"),
        (
            ValueError("Failed to find a kernel that can implement the MXFP4 linear layer. Reasons:\n a"),
            "MXFP4",
            "without_kernel",
        ),
    ],
)
def test_refusals_are_told_from_what_only_this_machine_lacks(error: Exception, message: str, flag: str) -> None:
    described = describe_exception(error, stage="load")
    assert message in described["message"]
    assert [key for key in ("unexpected", "without_bytes", "without_kernel") if described[key]] == [flag]


@pytest.mark.parametrize(
    "error",
    [ModuleNotFoundError("No module named 'cutlass'"), ValueError("please pass the argument `trust_remote_code=True`")],
)
def test_what_this_worker_cannot_run_is_not_the_checkpoints_fault(error: Exception) -> None:
    assert describe_exception(error, stage="build")["without_kernel"]


def test_a_stand_ins_refusal_is_a_refusal() -> None:
    text = "Failed to find a kernel\n CPU cannot\n X cannot implement due to: stand-in: Machete: a; Marlin: b"
    described = describe_exception(ValueError(text), stage="build")
    assert described["message"] == "no CUDA kernel takes this weight-only layer: Machete: a; Marlin: b"
    assert not described["without_kernel"]
