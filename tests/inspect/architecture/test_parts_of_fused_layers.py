"""Layers that the files of an architecture hold fused: vLLM 0.32.0 loads some from their parts too, and refuses others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Severity
from ctq.inspect.report import inspect_checkpoint

CheckpointFactory = Callable[..., Path]
ROWS = {"gate_up_proj": {"gate_proj": 256, "up_proj": 256}, "qkv_proj": {"q_proj": 128, "k_proj": 64, "v_proj": 64}}


def taken_apart(folder: Path, *wholes: str, without: str = "") -> list[str]:
    """Take fused layers apart, leave one tensor out, and return the codes of the errors."""

    def change(tensors: dict[str, Raw]) -> None:
        for name, raw in list(tensors.items()):
            parent, _, leaf = name.removesuffix(".weight").rpartition(".")
            if leaf not in wholes:
                continue
            del tensors[name]
            start, row = 0, len(raw.data) // raw.shape[0]
            for part, rows in ROWS[leaf].items():
                end = start + rows * row
                tensors[f"{parent}.{part}.weight"] = Raw(raw.dtype, (rows, raw.shape[1]), raw.data[start:end])
                start = end
        tensors.pop(without, None)

    edit_tensors(folder, change)
    findings = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    return sorted({finding.code for finding in findings if finding.severity is Severity.ERROR})


@pytest.mark.parametrize(
    ("family", "wholes"),
    [
        ("glm4", ["gate_up_proj"]),
        ("glm4v", ["gate_up_proj"]),
        ("phi3", ["gate_up_proj"]),
        ("phi3", ["qkv_proj"]),
    ],
)
def test_parts_that_vllm_fuses_itself(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, wholes: list[str]
) -> None:
    assert taken_apart(shutil.copytree(checkpoint(family), tmp_path / "own"), *wholes) == []


def test_a_lost_part_is_missed(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint("phi3"), tmp_path / "own")
    assert taken_apart(folder, "gate_up_proj", without="model.layers.1.mlp.up_proj.weight") != []


def test_a_part_of_another_size(checkpoint: CheckpointFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "qkv_proj", {"q_proj": 64, "k_proj": 96, "v_proj": 96})
    assert taken_apart(shutil.copytree(checkpoint("phi3"), tmp_path / "own"), "qkv_proj") == ["TEN026"]


def test_the_backend_takes_none_apart(checkpoint: CheckpointFactory, tmp_path: Path) -> None:
    assert "TEN024" in taken_apart(shutil.copytree(checkpoint("glm"), tmp_path / "own"), "gate_up_proj")


def fused(folder: Path, whole: str, parts: tuple[str, ...], within: str) -> set[str]:
    """Put projections into one tensor, as engines hold them, and return the codes of the errors."""

    def change(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if within in name and name.endswith(f".{parts[0]}.weight")]:
            parent = name.removesuffix(f"{parts[0]}.weight")
            found = [tensors.pop(f"{parent}{part}.weight") for part in parts]
            rows, data = sum(raw.shape[0] for raw in found), b"".join(raw.data for raw in found)
            tensors[f"{parent}{whole}.weight"] = Raw(found[0].dtype, (rows, found[0].shape[1]), data)

    edit_tensors(folder, change)
    findings = inspect_checkpoint(open_checkpoint(LocalFolder(folder))).findings
    return {finding.code for finding in findings if finding.severity is Severity.ERROR}


@pytest.mark.parametrize(
    ("family", "within", "is_taken"),
    [
        ("llama", ".mlp.", True),
        ("qwen2-moe", ".shared_expert.", True),
        ("deepseek-v3", ".mlp.", False),  # whose loader finds `up_proj` in `gate_up_proj`
        ("deepseek-v3", ".shared_experts.", False),
        ("minicpm3", ".mlp.", False),
        ("glm4-moe-lite", ".shared_experts.", False),
    ],
)
def test_layers_as_engines_fuse_them(
    checkpoint: CheckpointFactory, tmp_path: Path, family: str, within: str, is_taken: bool
) -> None:
    shutil.copytree(checkpoint(family), tmp_path / "m")
    found = fused(tmp_path / "m", "gate_up_proj", ("gate_proj", "up_proj"), within)
    assert not found if is_taken else "TEN024" in found
