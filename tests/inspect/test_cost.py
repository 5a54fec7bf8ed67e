"""What a token costs: every weight once, of the experts a share, of the embedding a row; and what the head changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from builders import tiny_checkpoint, tiny_quantized, write_folder
from raw_safetensors import Raw

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from ctq.inspect.cost import Cost

LINEAR = 2 * (128 * 128 * 2 + 64 * 128 * 2 + 3 * 256 * 128)  # two layers
NORMS = 5 * 128 * 2
ROW = 128 * 2
HEAD = 320 * 128


def cost(folder: Path) -> Cost:
    return inspect_checkpoint(open_checkpoint(LocalFolder(folder))).cost


def test_a_dense_model_reads_everything_but_the_embedding(tmp_path: Path) -> None:
    found = cost(tiny_checkpoint(tmp_path))
    assert found.by_kind == {"linear": 2 * LINEAR, "embedding": 2 * HEAD, "head": 2 * HEAD, "other": NORMS}
    assert found.per_token == 2 * LINEAR + NORMS + ROW + 2 * HEAD
    assert found.head_saves == 2 * HEAD - (HEAD + 320 * 2)
    assert found.decode_gain == pytest.approx(found.per_token / (found.per_token - found.head_saves))


def test_a_tied_head_reads_the_whole_embedding(tmp_path: Path) -> None:
    tied, untied = cost(tiny_checkpoint(tmp_path / "tied", tied=True)), cost(tiny_checkpoint(tmp_path / "untied"))
    assert tied.per_token == untied.per_token
    assert (tied.head, tied.head_dense, tied.head_saves) == (untied.head, untied.head_dense, untied.head_saves)
    assert "head" not in tied.by_kind


@pytest.mark.parametrize("architecture", ["BertModel", "LlamaModel", "LlamaForSequenceClassification"])
def test_a_tie_flag_costs_nothing_where_nothing_is_decoded(tmp_path: Path, architecture: str) -> None:
    folder = tiny_checkpoint(tmp_path, tied=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": [architecture]}))
    found = cost(folder)
    assert (found.head, found.head_dense, found.head_saves) == (0, 0, 0)
    assert found.per_token == 2 * LINEAR + NORMS + ROW


def test_a_quantized_head_has_saved_what_a_dense_one_would_save(tmp_path: Path) -> None:
    quantized = cost(tiny_quantized(tmp_path / "quantized"))
    dense = cost(tiny_quantized(tmp_path / "dense", head="dense"))
    assert quantized.head_saves == dense.head_saves == 2 * HEAD - (HEAD + 320 * 2)
    assert quantized.per_token == dense.per_token - dense.head_saves
    assert quantized.decode_gain == pytest.approx(dense.decode_gain)


def test_a_packed_head_is_measured_by_the_embeddings_shape(tmp_path: Path) -> None:
    found = cost(tiny_quantized(tmp_path, kind="w4a16"))
    assert (found.head, found.head_dense) == (HEAD // 2 + 320 * 2 + 16, 2 * HEAD)


def raw(*shape: int) -> Raw:
    size = 2
    for dimension in shape:
        size *= dimension
    return Raw("BF16", shape, bytes(size))


def model(folder: Path, tensors: dict[str, Raw], **config: Any) -> Path:
    return write_folder(folder, tensors, {"architectures": ["XForCausalLM"], **config}, shards=1)


def test_of_the_experts_only_those_that_are_chosen_are_read(tmp_path: Path) -> None:
    experts = {f"model.layers.0.mlp.experts.{number}.up_proj.weight": raw(64, 32) for number in range(8)}
    found = cost(model(tmp_path, experts, num_experts=8, num_experts_per_tok=2))
    assert found.by_kind == {"experts": 8 * 64 * 32 * 2}
    assert found.per_token == 2 * 64 * 32 * 2


def test_experts_in_one_tensor_count_by_share_too(tmp_path: Path) -> None:
    experts = {"model.layers.0.mlp.experts.gate_up_proj": raw(8, 64, 32)}
    assert cost(model(tmp_path, experts, num_local_experts=8, num_experts_per_tok=1)).per_token == 64 * 32 * 2


def test_towers_and_draft_layers_are_not_decoded(tmp_path: Path) -> None:
    tensors = {
        "visual.blocks.0.attn.qkv.weight": raw(96, 32),
        "mtp.fc.weight": raw(32, 64),
        "model.layers.0.up_proj.weight": raw(8, 8),
    }
    assert cost(model(tmp_path, tensors)).per_token == 8 * 8 * 2


def test_without_a_head_there_is_nothing_to_save(tmp_path: Path) -> None:
    found = cost(model(tmp_path, {"encoder.layers.0.dense.weight": raw(8, 8)}, architectures=["BertModel"]))
    assert (found.head, found.head_saves, found.decode_gain) == (0, 0, 1.0)
    assert json.dumps(found.to_json())
