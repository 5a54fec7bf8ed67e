"""Experts of vLLM's Transformers backend: it reads their width by `moe_intermediate_size`, which the model's own class may not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit_config
from inspecting import error_list


@pytest.mark.parametrize(("width", "errors"), [(None, []), (256, []), (32, ["TEN026"])])
def test_a_width_that_only_the_backend_reads(
    checkpoint: Callable[..., Path], tmp_path: Path, width: int | None, errors: list[str]
) -> None:
    folder = shutil.copytree(checkpoint("hunyuan-moe"), tmp_path / "made")
    edit_config(folder, lambda config: config.update({"moe_intermediate_size": width} if width else {}))
    assert error_list(folder) == errors
