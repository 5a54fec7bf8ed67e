"""Variants are drawn alike for a seed, differ from their family, and are built as they were drawn."""

from __future__ import annotations

import json
from pathlib import Path

from variants import drawn

FAMILIES = ("llama", "qwen3-moe")


def test_variants_are_drawn_alike_for_a_seed() -> None:
    names = [variant.name for variant in drawn(4, 1, FAMILIES)]
    assert names == [variant.name for variant in drawn(4, 1, FAMILIES)]
    assert names != [variant.name for variant in drawn(4, 2, FAMILIES)]
    assert len(set(names)) == len(names)


def test_variants_are_built_as_they_were_drawn(tmp_path: Path) -> None:
    [variant] = drawn(1, 1, FAMILIES)
    config = json.loads((variant.build(tmp_path / "model") / "config.json").read_text())
    assert variant.changes
    assert all(config[path] == value for path, value in variant.changes)
    assert (config["vocab_size"], config["dtype"]) == (variant.vocab, variant.dtype)
    assert len(list((tmp_path / "model").glob("*.safetensors"))) >= variant.shards
