"""Parameters that every loader takes for floats, stored as integers: their values are converted without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import Raw, edit_tensors, from_numpy
from families import build
from inspecting import error_list


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
@pytest.mark.parametrize(
    ("family", "end", "code"),
    [
        ("llama", "input_layernorm.weight", "CFG001"),
        ("cwm", "model.norm.weight", "CFG001"),
        ("mamba2", "mixer.A_log", "TEN026"),
        ("solar-open", "e_score_correction_bias", "TEN026"),
    ],
)
def test_a_parameter_in_integers(family: str, end: str, code: str, dtype: type[np.integer], tmp_path: Path) -> None:
    dense = build(family, tmp_path / "dense")
    assert error_list(dense) == []

    def store(tensors: dict[str, Raw]) -> None:
        tensors.update(
            {name: from_numpy(np.ones(old.shape, dtype)) for name, old in tensors.items() if name.endswith(end)}
        )

    edit_tensors(dense, store)
    assert code in error_list(dense)
