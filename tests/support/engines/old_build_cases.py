"""Checkpoints on which releases of vLLM differ: heads in and out, tied and not, named and not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from builders import edit_config
from quantizing import quantize

from ctq.recipe.recipe import Recipe, default_body
from ctq.recipe.schemes import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Change = Callable[[dict[str, Any]], None]

FAMILIES: Final = ("llama", "llama-tied", "qwen2", "qwen3-tied", "gemma3-mm")
RECIPES: Final[Mapping[str, Recipe]] = {
    "W8A8": Recipe(lm_head=True),
    "W8A16": Recipe(body=default_body(SCHEMES["W8A16"]), lm_head=True),
    "mixed": Recipe(lm_head=True, lm_head_scheme=SCHEMES["W8A16"]),
    "head out": Recipe(lm_head=False),
}


def tie(config: dict[str, Any]) -> None:
    """Say that the embeddings are tied, at every level."""
    config["tie_word_embeddings"] = True
    if "text_config" in config:
        config["text_config"]["tie_word_embeddings"] = True


def _by_class_alone(config: dict[str, Any]) -> None:
    for group in config["quantization_config"]["config_groups"].values():
        group["targets"] = ["Linear"]


def _by_exact_name(config: dict[str, Any]) -> None:
    next(iter(config["quantization_config"]["config_groups"].values()))["targets"] = ["lm_head"]


CHANGES: Final[Mapping[str, Change | None]] = {
    "as written": None,
    "tie flag": tie,
    "Linear alone": _by_class_alone,
    "exact name": _by_exact_name,
}
"""What is done to the config of a result afterwards; all but the first only where the head is quantized in one scheme."""


def cases() -> list[tuple[str, str, str]]:
    """Return every case as family, recipe and change."""
    return [
        (family, recipe, change)
        for family in FAMILIES
        for recipe in RECIPES
        for change in CHANGES
        if change == "as written" or recipe in ("W8A8", "W8A16")
    ]


def make(case: tuple[str, str, str], dense: Path, folder: Path) -> Path:
    """Write the checkpoint of a case from its family's dense one."""
    _, recipe, change = case
    quantize(dense, folder, RECIPES[recipe])
    edit = CHANGES[change]
    if edit is not None:
        edit_config(folder, edit)
    return folder
