"""Notes: good to know, never a reason to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import breaking as do
import pytest
from builders import tiny_checkpoint, tiny_quantized, write_folder
from raw_safetensors import Raw

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import inspect_checkpoint

if TYPE_CHECKING:
    from pathlib import Path


def notes(folder: Path) -> dict[str, str]:
    findings = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    assert {str(finding.severity) for finding in findings} <= {"note"}, findings
    return {finding.code: finding.message for finding in findings}


def test_a_quantized_head_comes_with_its_limits(tmp_path: Path) -> None:
    assert list(notes(tiny_quantized(tmp_path / "in"))) == ["HED012"]
    assert notes(tiny_quantized(tmp_path / "out", head="dense")) == {}


@pytest.mark.parametrize(("kind", "words"), [("w8a16-asym", "zero points"), ("w8a16-g32", None)])
def test_few_kernels_take_odd_weight_only_schemes(kind: str, words: str | None, tmp_path: Path) -> None:
    found = notes(tiny_quantized(tmp_path, kind=kind, head="dense")).get("CFG010")
    assert (words in found) if words and found else found is None


def test_group_sizes_without_a_kernel_are_named(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, kind="w8a16", head="dense")
    do.regroup(16)(folder)
    assert "group size 16" in notes(folder)["CFG010"]


def test_links_to_elsewhere_are_named_and_those_of_the_hub_are_not(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "model", shards=1)
    (folder / "model.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (folder / "model.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    assert "elsewhere" in notes(folder)["FIL013"]


def test_files_that_only_their_owner_reads_are_named(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    assert notes(folder) == {}
    for path in do.shards(folder):
        path.chmod(0o600)
    assert notes(folder)["FIL014"].endswith("and 1 more: only the owner may read it")
    for path in do.shards(folder):
        path.chmod(0o640)
    assert notes(folder) == {}


def test_consolidated_weights_beside_the_shards_are_known(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path)
    for number, shard in enumerate(do.shards(folder)):
        (folder / f"consolidated-{number}.safetensors").write_bytes(shard.read_bytes())
    assert "FIL007" in notes(folder)


def test_ignored_names_that_differ_in_the_wrapper_alone_are_notes(tmp_path: Path) -> None:
    tensors = {f"model.visual.blocks.{number}.attn.qkv.weight": Raw("BF16", (4, 2), bytes(16)) for number in range(2)}
    group = {
        "targets": ["re:.*nothing_here$"],
        "weights": {"num_bits": 8, "strategy": "channel"},
        "input_activations": None,
    }
    config = {
        "architectures": ["MolmoForCausalLM"],
        "auto_map": {"AutoConfig": "owner/name--configuration.Config"},
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "config_groups": {"group_0": group | {"targets": ["model.visual.blocks.0.attn.qkv"]}},
            "ignore": ["visual.blocks.0.attn.qkv", "model.visual.blocks.0.attn.qkv", "visual.blocks.1.attn.qkv"],
        },
    }
    found = notes(write_folder(tmp_path, tensors, config, shards=1))
    assert "`visual.blocks.0.attn.qkv`, `visual.blocks.1.attn.qkv`" in found["CFG018"]
    assert "(the files have `model.visual.blocks." in found["CFG018"]
