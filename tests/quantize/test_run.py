"""A run's result: every weight within half a step, everything else byte for byte, and the same bytes every time."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import Raw, all_tensors, edit_tensors, from_floats, tiny_checkpoint
from quantizing import INCLUDED, folder_bytes, plan_of, quantize

from ctq import events
from ctq.errors import CheckpointError, OutputError
from ctq.quantize.job import Job
from ctq.quantize.run import run_plan
from ctq.recipe.recipe import Recipe, default_body
from ctq.recipe.schemes import SCHEMES, Scheme, variant

W8A8, W8A16 = SCHEMES["W8A8"], SCHEMES["W8A16"]
VARIANTS = {
    "w8a8": W8A8,
    "group128": W8A16,
    "group32": variant(W8A16, group_size=32),
    "channel": variant(W8A16, strategy="channel"),
    "group64-asymmetric": variant(W8A16, group_size=64, symmetric=False),
    "channel-asymmetric": variant(W8A16, strategy="channel", symmetric=False),
}


def recipe_of(scheme: Scheme, **fields: Any) -> Recipe:
    return Recipe(body=default_body(scheme), lm_head=True, **fields)


def dequantized(tensors: dict[str, Raw], module: str) -> tuple[np.ndarray, np.ndarray]:
    """Values and steps in float32, [rows, columns] each, read by this test's own few lines."""
    scale = tensors[f"{module}.weight_scale"].floats
    if f"{module}.weight" in tensors:
        raw = tensors[f"{module}.weight"]
        values = np.frombuffer(raw.data, np.int8).reshape(raw.shape).astype(np.float32)
    else:
        rows, columns = np.frombuffer(tensors[f"{module}.weight_shape"].data, np.int64)
        packed = np.frombuffer(tensors[f"{module}.weight_packed"].data, np.uint8).reshape(rows, -1)[:, :columns]
        values = packed.astype(np.float32) - 128
    steps = np.repeat(scale, values.shape[1] // scale.shape[1], axis=1)
    if f"{module}.weight_zero_point" in tensors:
        words = np.frombuffer(tensors[f"{module}.weight_zero_point"].data, np.uint8).reshape(-1, scale.shape[1], 4)
        points = words.transpose(0, 2, 1).reshape(-1, scale.shape[1])[: values.shape[0]].astype(np.float32) - 128
        values = values - np.repeat(points, values.shape[1] // scale.shape[1], axis=1)
    return values * steps, steps


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("name", VARIANTS)
def test_every_weight_is_within_half_a_step_and_the_rest_is_untouched(tmp_path: Path, dtype: str, name: str) -> None:
    source = tiny_checkpoint(tmp_path / "source", dtype=dtype)
    quantize(source, tmp_path / "out", recipe_of(VARIANTS[name]), max_shard_size=300_000)
    before, after = all_tensors(source), all_tensors(tmp_path / "out")
    linears = [tensor for tensor in before if tensor.endswith(("_proj.weight", "lm_head.weight"))]
    assert len(linears) == 15
    for tensor in linears:
        values, steps = dequantized(after, tensor.removesuffix(".weight"))
        assert (np.abs(before[tensor].floats - values) <= steps / 2).all(), tensor
    for tensor in before.keys() - set(linears):
        assert after[tensor] == before[tensor], tensor


@pytest.mark.parametrize("name", ["w8a8", "group128", "group64-asymmetric"])
def test_compressed_tensors_reads_the_same_weights(tmp_path: Path, name: str) -> None:
    import torch
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationConfig
    from safetensors.torch import load_file

    source = tiny_checkpoint(tmp_path / "source")
    quantize(source, tmp_path / "out", recipe_of(VARIANTS[name]))
    config = json.loads((tmp_path / "out/config.json").read_text())["quantization_config"]
    scheme = QuantizationConfig.model_validate(config).config_groups["group_1"]
    compressor = BaseCompressor.get_value_from_registry(config["format"])
    module = "model.layers.1.mlp.down_proj"
    stored = load_file(tmp_path / "out/model.safetensors")
    parts = {key.removeprefix(f"{module}."): value for key, value in stored.items() if key.startswith(module)}
    weight = compressor.decompress(parts, scheme)["weight"].float().numpy()
    original = all_tensors(source)[f"{module}.weight"].floats
    _, steps = dequantized(all_tensors(tmp_path / "out"), module)
    assert weight.dtype == np.float32
    assert torch.is_tensor(parts["weight_scale"])
    assert (np.abs(original - weight) <= steps / 2 + np.abs(weight) * 2.0**-8).all(), (
        "half a step, and its rounding to bfloat16"
    )


def test_two_runs_give_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source", shards=3)
    quantize(source, tmp_path / "a", workers=1, max_shard_size=200_000)
    quantize(source, tmp_path / "b", workers=4, max_shard_size=200_000)
    assert folder_bytes(tmp_path / "a") == folder_bytes(tmp_path / "b")


def test_the_tied_head_is_made_from_the_embedding(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source", tied=True)
    quantize(source, tmp_path / "out")
    after = all_tensors(tmp_path / "out")
    embedding = all_tensors(source)["model.embed_tokens.weight"]
    assert after["model.embed_tokens.weight"] == embedding
    values, steps = dequantized(after, "lm_head")
    assert (np.abs(embedding.floats - values) <= steps / 2).all()


def test_file_modes_follow_the_umask(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    (source / "tokenizer.json").write_text("{}")
    before = os.umask(0o027)
    try:
        quantize(source, tmp_path / "out")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
    assert set(modes.values()) == {0o640}, modes
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["w8a8", "group128"])
def test_a_weight_that_is_not_finite_is_refused_by_name(tmp_path: Path, bad: float, name: str) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    tensor = "model.layers.1.mlp.up_proj.weight"

    def spoil(tensors: dict[str, Raw]) -> None:
        values = tensors[tensor].floats.copy()
        values[7, 3] = bad
        tensors[tensor] = from_floats(values, "BF16")

    edit_tensors(source, spoil)
    with pytest.raises(CheckpointError, match=tensor):
        quantize(source, tmp_path / "out", recipe_of(VARIANTS[name]))
    assert not (tmp_path / "out").exists()


def test_zero_and_tiny_rows_are_safe(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source", dtype="F16")

    def spoil(tensors: dict[str, Raw]) -> None:
        values = tensors["lm_head.weight"].floats.copy()
        values[0] = 0
        values[1] = 6e-8
        values[2] = 65504
        tensors["lm_head.weight"] = from_floats(values, "F16")

    edit_tensors(source, spoil)
    quantize(source, tmp_path / "out")
    values, steps = dequantized(all_tensors(tmp_path / "out"), "lm_head")
    assert (steps > 0).all()
    assert np.isfinite(values).all()
    assert (values[0] == 0).all()


class Stop(Exception):  # noqa: N818  # a stand-in for any interruption
    """Raised by a listener in the middle of a run."""


def interrupted(source: Path, out: Path, after: int) -> None:
    plan = plan_of(source, max_shard_size=200_000)
    seen = 0

    def listen(event: events.Event) -> None:
        nonlocal seen
        if isinstance(event, events.Advanced):
            seen += 1
            if seen > after:
                raise Stop

    with pytest.raises(Stop):
        run_plan(plan, Job(source=source, out=out, model=source.name, workers=1), on_event=listen)


@pytest.mark.parametrize("after", [0, 1, 7, 14])
def test_an_interrupted_run_resumes_to_the_same_bytes(tmp_path: Path, after: int) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    quantize(source, tmp_path / "whole", max_shard_size=200_000)
    interrupted(source, tmp_path / "out", after)
    assert not (tmp_path / "out").exists(), "nothing half-done stands at the output"
    assert not (tmp_path / "out.partial/config.json").exists()
    summary = quantize(source, tmp_path / "out", max_shard_size=200_000, resume=True)
    assert summary.resumed_units == after + 1
    assert folder_bytes(tmp_path / "out") == folder_bytes(tmp_path / "whole")
    assert not (tmp_path / "out.partial").exists()


def test_resuming_a_finished_run_is_good(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    quantize(source, tmp_path / "out")
    (tmp_path / "out/.ctq-journal").write_text("{}\n")
    before = folder_bytes(tmp_path / "out")
    assert quantize(source, tmp_path / "out", resume=True).nbytes_read == 0
    assert folder_bytes(tmp_path / "out") == {name: data for name, data in before.items() if name != ".ctq-journal"}
    with pytest.raises(OutputError, match="already exists"):
        quantize(source, tmp_path / "out", Recipe(lm_head=False), resume=True)


def test_a_changed_source_is_noticed_on_resume(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    interrupted(source, tmp_path / "out", 3)
    edit_tensors(
        source, lambda tensors: tensors.update({"model.norm.weight": tensors["model.layers.0.input_layernorm.weight"]})
    )
    with pytest.raises(OutputError, match="begun with another source"):
        quantize(source, tmp_path / "out", max_shard_size=200_000, resume=True)


def test_another_recipe_is_noticed_on_resume(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    interrupted(source, tmp_path / "out", 3)
    with pytest.raises(OutputError, match="begun with another recipe"):
        quantize(source, tmp_path / "out", Recipe(lm_head=False), max_shard_size=200_000, resume=True)


def test_a_shard_lost_from_the_stage_is_made_again(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    quantize(source, tmp_path / "whole", max_shard_size=200_000)
    interrupted(source, tmp_path / "out", 9)
    next((tmp_path / "out.partial").glob("*.safetensors")).unlink()
    assert quantize(source, tmp_path / "out", max_shard_size=200_000, resume=True).resumed_units == 0
    assert folder_bytes(tmp_path / "out") == folder_bytes(tmp_path / "whole")


def test_no_space_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    room = os.statvfs(tmp_path)
    full = os.statvfs_result((room.f_bsize, 4096, room.f_blocks, 10, 10, *tuple(room)[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    with pytest.raises(OutputError, match=r"no space: needs 17\.\d MB, "):
        quantize(source, tmp_path / "out")


def test_a_disk_that_fills_leaves_a_run_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    real, calls = os.pwrite, 0

    def filling(descriptor: int, data: bytes, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", filling)
        with pytest.raises(OutputError, match="No space left on device") as error:
            quantize(source, tmp_path / "out", workers=1)
    assert "--resume" in (error.value.hint or "")
    assert not (tmp_path / "out").exists()
    quantize(source, tmp_path / "out", resume=True)
    quantize(source, tmp_path / "whole")
    assert folder_bytes(tmp_path / "out") == folder_bytes(tmp_path / "whole")


def test_fsync_reaches_every_file_and_folder_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    synced: list[str] = []

    def sync(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        assert not (tmp_path / "out").exists()

    monkeypatch.setattr(os, "fsync", sync)
    quantize(source, tmp_path / "out", fsync=True)
    work = tmp_path / "out.partial"
    assert {str(work / name) for name in folder_bytes(tmp_path / "out")} | {str(work)} <= set(synced)


def test_the_source_stays_as_it_was(tmp_path: Path) -> None:
    source = tiny_checkpoint(tmp_path / "source")
    before = folder_bytes(source)
    quantize(source, tmp_path / "out", INCLUDED)
    assert folder_bytes(source) == before
