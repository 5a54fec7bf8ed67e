"""Routers in `ignore` by the files' name, which vLLM calls otherwise: it builds them quantized (loaded by vLLM 0.32.0)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config
from inspecting import errors
from quantizing import quantize

FILES = [f"model.layers.{number}.block_sparse_moe.gate" for number in range(2)]
ENGINE = [f"model.layers.{number}.mlp.router" for number in range(2)]


@pytest.fixture(scope="module")
def phimoe(tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("phimoe") / "q"
    quantize(checkpoint("phimoe"), folder)
    return folder


@pytest.mark.parametrize(
    ("ignored", "codes"),
    [(FILES, {"TEN027"}), (ENGINE, set()), ([*FILES, *ENGINE], set()), (["re:.*\\.(gate|router)$"], set())],
)
def test_a_router_is_ignored_under_the_name_that_vllm_asks(
    ignored: list[str], codes: set[str], phimoe: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(phimoe, tmp_path / "m")
    edit_config(folder, lambda config: config["quantization_config"].update(ignore=ignored))
    assert errors(folder) == codes
