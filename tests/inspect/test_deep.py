"""Only small tensors are read, and a sample of each weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import breaking as do
import pytest
from builders import edit_tensors, tiny_quantized

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.deep import examine
from ctq.inspect.facts.collect import collect_facts

if TYPE_CHECKING:
    from pathlib import Path


def test_of_a_weight_only_a_sample_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = open_checkpoint(LocalFolder(tiny_quantized(tmp_path, kind="w8a16", vocab=20_000)))
    read: list[int] = []
    plain = LocalFolder.read

    def counting(self: LocalFolder, name: str, start: int = 0, length: int | None = None) -> bytes:
        part = plain(self, name, start, length)
        read.append(len(part))
        return part

    monkeypatch.setattr(LocalFolder, "read", counting)
    assert examine(checkpoint, collect_facts(checkpoint).entries) == ()
    weights = [info for info in checkpoint.tensors.values() if info.name.endswith(("packed", "embed_tokens.weight"))]
    small = sum(info.nbytes for info in checkpoint.tensors.values()) - sum(info.nbytes for info in weights)
    assert sum(read) == small + 4096 * len(weights)


def test_parts_of_fused_experts_are_read_under_their_own_names(tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path, kind="w8a16")
    edit_tensors(folder, do.fused_experts)
    name = "model.layers.0.mlp.experts.gate_up_proj_scale"
    do.put(name, do.floats(4, 256, 1, value=float("nan")))(folder)
    checkpoint = open_checkpoint(LocalFolder(folder))
    assert name in {odd.tensor for odd in examine(checkpoint, collect_facts(checkpoint).entries)}
