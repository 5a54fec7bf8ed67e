"""Variants are drawn alike for a seed, differ from their family, and are built as they were drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import families
from variants import LARGEST, drawn, outline_of

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


def test_a_class_that_reads_nothing_of_the_small_config_is_too_large() -> None:
    of_full_size = replace(families.FAMILIES["qwen3.5"], architecture="Qwen3_5ForTokenClassification")
    outline = outline_of(of_full_size, {})
    assert outline is not None
    assert outline.numbers > LARGEST
    drawn_family = outline_of(families.FAMILIES["qwen3.5"], {})
    assert drawn_family is not None
    assert drawn_family.numbers < LARGEST
