"""Blocks of FP8 scales that the parts of a fused layer do not fill: vLLM 0.32.0 refuses to build the layer."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import tiny_quantized
from inspecting import errors


@pytest.mark.parametrize(("head_dim", "found"), [(64, set[str]()), (32, {"TEN027"}), (128, set[str]())])
def test_keys_of_half_a_block(head_dim: int, found: set[str], tmp_path: Path) -> None:
    assert errors(tiny_quantized(tmp_path / "m", kind="fp8-block", head="dense", head_dim=head_dim)) == found
