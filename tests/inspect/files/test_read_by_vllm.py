"""What vLLM reads of a folder and a config, and what it passes over: strays without an index, targets twice, architectures in a row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from builders import Raw, edit_config, edit_tensors, tiny_checkpoint, tiny_quantized, write_safetensors
from inspecting import error_list

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.config import ModelConfig
from ctq.checkpoint.source import LocalFolder
from ctq.engines.configs.field_types import mistyped
from ctq.engines.vllm_models.registry import as_loaded
from ctq.verify.engine_names import EngineName
from ctq.verify.report import Verdict
from ctq.verify.request import VerifyRequest
from ctq.verify.run import verify

NORM = "model.norm.weight"


def verified(folder: Path) -> Verdict:
    return verify(VerifyRequest(checkpoint=folder, engines=(EngineName("builtin"),), tokens=4, workers=1)).verdict


@pytest.mark.parametrize(
    ("name", "shape", "shards", "codes"),
    [
        ("direction.1", (128,), 1, ["FIL007"]),
        (NORM, (7,), 1, ["FIL007"]),
        (NORM, (128,), 1, []),
        ("direction.1", (128,), 2, []),
    ],
    ids=["another name", "another shape", "a copy", "beside an index"],
)
@pytest.mark.parametrize("make", [tiny_quantized, tiny_checkpoint], ids=["quantized", "dense"])
def test_a_stray_file_is_loaded_where_there_is_no_index(
    name: str, shape: tuple[int, ...], shards: int, codes: list[str], make: Callable[..., Path], tmp_path: Path
) -> None:
    make(tmp_path / "q", shards=shards)
    write_safetensors(tmp_path / "q" / "zz.safetensors", {name: Raw("BF16", shape, bytes(2 * shape[0]))})
    assert error_list(tmp_path / "q") == codes


@pytest.mark.parametrize(("dtype", "codes"), [("F32", []), ("I8", ["FIL007"])])
def test_a_stray_copy_as_other_floats_is_converted(dtype: str, codes: list[str], tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "m", shards=1)
    raw = Raw(dtype, (128,), bytes(128 * (4 if dtype == "F32" else 1)))
    write_safetensors(tmp_path / "m" / "zz.safetensors", {NORM: raw})
    assert error_list(tmp_path / "m") == codes


@pytest.mark.parametrize(
    ("name", "codes"),
    [(NORM, ["FIL007"]), ("tok_embeddings.weight", [])],
    ids=["a part of the model", "Mistral's own names"],
)
def test_consolidated_files_are_loaded_alone(name: str, codes: list[str], tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "m")
    write_safetensors(tmp_path / "m" / "consolidated.safetensors", {name: Raw("BF16", (128,), bytes(256))})
    assert error_list(tmp_path / "m") == codes


def test_of_a_target_that_comes_again_the_last_group_counts(tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "q")

    def again(config: dict[str, Any]) -> None:
        groups = config["quantization_config"]["config_groups"]
        last = deepcopy(next(group for group in groups.values() if "Linear" in group["targets"]))
        last["weights"]["type"] = last["input_activations"]["type"] = "float"
        groups["group_9"] = last | {"format": "float-quantized"}

    edit_config(tmp_path / "q", again)
    assert error_list(tmp_path / "q") == ["TEN010"]


@pytest.mark.parametrize("key", ["format", "quantization_status"])
def test_what_is_no_text_and_not_looked_at(key: str, tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "q")
    edit_config(tmp_path / "q", lambda config: config["quantization_config"].update({key: 7}))
    assert error_list(tmp_path / "q") == []
    assert verified(tmp_path / "q") is Verdict.PASS


def test_the_first_architecture_that_anybody_knows_counts(tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "q")
    edit_config(tmp_path / "q", lambda config: config["architectures"].insert(0, "WonderfulForCausalLM"))
    assert error_list(tmp_path / "q") == []
    assert verified(tmp_path / "q") is Verdict.PASS


def test_an_architecture_of_the_backend_counts_only_where_it_is_first(
    checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(checkpoint("helium"), tmp_path / "h")
    edit_config(folder, lambda config: config["architectures"].insert(0, "WonderfulForCausalLM"))
    assert as_loaded(open_checkpoint(LocalFolder(folder)).config).architecture == "WonderfulForCausalLM"


def test_a_width_that_the_class_does_not_read(tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "q", kind="w8a16")
    edit_config(tmp_path / "q", lambda config: config.update(word_embed_proj_dim=64))
    assert verified(tmp_path / "q") is Verdict.PASS


@pytest.mark.parametrize(("model_type", "refused"), [("qwen3_asr", []), ("llama", ["vocab_size"])])
def test_types_are_those_of_the_class_that_vllm_reads_the_config_with(model_type: str, refused: list[str]) -> None:
    config = ModelConfig({"model_type": model_type, "timestamp_token_id": None, "vocab_size": "many"})
    assert [key for key, _ in mistyped(config)] == refused


def test_old_rotary_buffers_in_a_wrapper(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("paligemma"), tmp_path / "p")
    edit_tensors(folder, lambda tensors: tensors.update({"model.rotary_emb.inv_freq": Raw("F32", (16,), bytes(64))}))
    assert error_list(folder) == []


def test_a_text_model_at_the_top_of_a_wrapper(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("llava"), tmp_path / "l")
    edit_config(folder, lambda config: config.update({**config.pop("text_config"), "model_type": config["model_type"]}))
    assert error_list(folder) == ["CFG022"]


def test_weights_in_a_folder_inside_are_nowhere(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "model", shards=1)
    (folder / "weights").mkdir()
    (folder / "model.safetensors").rename(folder / "weights" / "model.safetensors")
    assert "FIL006" in error_list(folder)


@pytest.mark.parametrize(("value", "codes"), [("linear", ["CFG022"]), ([2.0], ["CFG022"]), (None, []), ({}, [])])
def test_rotary_settings_under_their_old_name_are_an_object(value: object, codes: list[str], tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "model", shards=1)
    edit_config(folder, lambda config: config.update(rope_scaling=value))
    assert error_list(folder) == codes


def test_the_order_of_columns_of_a_head_is_dropped_under_a_config(tmp_path: Path) -> None:
    order = Raw("I32", (128,), bytes(512))
    for folder, codes in (
        (tiny_quantized(tmp_path / "in"), []),
        (tiny_quantized(tmp_path / "out", head="dense"), []),
        (tiny_checkpoint(tmp_path / "none"), ["HED010"]),
    ):
        edit_tensors(folder, lambda tensors: tensors.update({"lm_head.g_idx": order}))
        assert error_list(folder) == codes


@pytest.mark.parametrize(
    ("tied", "content", "codes"),
    [
        (True, b"\x00\x05\x16\x07", ["FIL007"]),
        (True, b"\x00\x05\x16\x07" + bytes(4092), ["FIL007"]),
        (True, (2).to_bytes(8, "little") + b"{}", []),
        (False, b"\x00\x05\x16\x07", []),
    ],
    ids=["cut", "as macOS writes it", "a header", "not tied"],
)
def test_what_macos_leaves_beside_a_tied_model(tied: bool, content: bytes, codes: list[str], tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path, tied=tied)
    (folder / "._model.safetensors").write_bytes(content)
    assert error_list(folder) == codes


def test_every_header_is_read_where_the_config_states_no_dtype(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    edit_config(folder, lambda config: [config.pop(key, None) for key in ("dtype", "torch_dtype")])
    assert error_list(folder) == []
    (folder / "._model.safetensors").write_bytes(b"\x00\x05\x16\x07")
    assert error_list(folder) == ["FIL007"]
