"""Fused layers whose parts are all dense stand in ``ignore`` by their own names too, as SGLang asks; no quantized layer ever does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from builders import tiny_checkpoint
from quantizing import plan_of, quantize

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.inspect.report import InspectOptions, inspect_checkpoint
from ctq.recipe.recipe import BodyGroup, Recipe, default_body
from ctq.recipe.schemes import SCHEMES

if TYPE_CHECKING:
    from pathlib import Path

QKV, GATE_UP = r"re:.*\.qkv_proj$", r"re:.*\.gate_up_proj$"
W8A8 = SCHEMES["W8A8"]


@pytest.mark.parametrize(
    ("recipe", "fused"),
    [
        (Recipe(body=(), lm_head=True), [QKV, GATE_UP]),
        (Recipe(lm_head=True), []),
        (Recipe(lm_head=True, ignore=(r"re:.*\.[qkv]_proj$",)), [QKV]),
        (Recipe(lm_head=True, ignore=(r"re:.*self_attn.*",)), []),  # it reaches the fused layer already
        (Recipe(lm_head=True, ignore=(r"re:.*layers\.0\.self_attn\.[qkv]_proj$",)), []),  # other layers' are quantized
        (Recipe(body=(BodyGroup(targets=(r"re:.*mlp.*",), scheme=W8A8),), lm_head=False), [QKV]),
        (Recipe(body=default_body(W8A8), ignore=(r"re:.*\.up_proj$", r"re:.*\.gate_proj$"), lm_head=True), [GATE_UP]),
    ],
)
def test_a_fused_layer_is_ignored_where_all_its_parts_are_dense(
    tmp_path: Path, recipe: Recipe, fused: list[str]
) -> None:
    config = json.loads(plan_of(tiny_checkpoint(tmp_path / "m"), recipe).documents["config.json"])
    ignore = config["quantization_config"]["ignore"]
    assert [pattern for pattern in ignore if pattern in (QKV, GATE_UP)] == fused


def test_inspection_knows_what_such_a_pattern_is_for(tmp_path: Path) -> None:
    quantize(tiny_checkpoint(tmp_path / "m"), tmp_path / "q", Recipe(body=(), lm_head=True))
    report = inspect_checkpoint(open_checkpoint(LocalFolder(tmp_path / "q")), InspectOptions())
    assert [finding.code for finding in report.findings] == ["HED012"]
