"""What engines are told to leave dense is what was left dense, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import Raw, edit_tensors, tiny_checkpoint
from families import build

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.recipe.compose import compose
from ctq.recipe.decide import decide
from ctq.recipe.match import matches_name
from ctq.recipe.recipe import BodyGroup, Recipe
from ctq.recipe.schemes import SCHEMES

ATTENTION = BodyGroup(targets=("re:.*self_attn.*",), scheme=SCHEMES["W8A8"])


def rows_of_words(tensors: dict[str, Raw]) -> None:
    tensors["model.mixer.up_proj.weight"] = tensors["model.embed_tokens.weight"]


def a_gate_of_its_own(tensors: dict[str, Raw]) -> None:
    tensors["model.router.up_proj.weight"] = tensors["model.layers.0.mlp.up_proj.weight"]


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(lm_head=True), Recipe(body=(ATTENTION,))], ids=str)
@pytest.mark.parametrize(
    "change", [lambda _: None, rows_of_words, a_gate_of_its_own], ids=["as it is", "words", "gate"]
)
def test_no_pattern_reaches_what_is_quantized(
    change: Callable[[dict[str, Raw]], None], recipe: Recipe, tmp_path: Path
) -> None:
    folder = tiny_checkpoint(tmp_path / "llama")
    edit_tensors(folder, change)
    decisions = decide(open_checkpoint(LocalFolder(folder)), recipe)
    ignore = compose(decisions, recipe, [])["ignore"]
    for decision in decisions.modules:
        is_ignored = any(matches_name(decision.module, pattern) for pattern in ignore)
        assert is_ignored <= (decision.scheme is None), decision.module
        assert is_ignored or decision.scheme or decision.kind.value in {"norm", "embedding"}, decision.module


def test_layers_that_are_ignored_by_class_are_named(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(LocalFolder(tiny_checkpoint(tmp_path / "llama")))
    recipe = Recipe(lm_head=True, ignore=("Linear",))
    ignore = compose(decide(checkpoint, recipe), recipe, [])["ignore"]
    assert "Linear" not in ignore, "a head is one too"
    assert r"re:.*\.down_proj$" in ignore


def test_fused_experts_of_one_layer_are_ignored_there_alone(tmp_path: Path) -> None:
    folder = build("granite-moe", tmp_path / "granite")
    recipe = Recipe(ignore=(r"re:.*layers\.0\..*",))
    ignore = compose(decide(open_checkpoint(LocalFolder(folder)), recipe), recipe, [])["ignore"]
    first, second = (f"model.layers.{layer}.block_sparse_moe.experts.0.gate_proj" for layer in range(2))
    assert any(matches_name(first, pattern) for pattern in ignore)
    assert not any(matches_name(second, pattern) for pattern in ignore)
