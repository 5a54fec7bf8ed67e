"""Hidden states: made up alike every time, or read from a file that is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from builders import from_floats, from_numpy, write_safetensors

from ctq.errors import UsageError
from ctq.verify.hidden_states import random_states, saved_states

if TYPE_CHECKING:
    from pathlib import Path

STATES = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)


def test_made_up_states_are_alike_for_one_seed_and_of_unit_size() -> None:
    first, again, other = random_states(8, 512), random_states(8, 512), random_states(8, 512, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(first.square().mean()) == pytest.approx(1.0, abs=1e-5)


def test_channels_have_different_spread() -> None:
    by_channel = random_states(512, 64).square().mean(0).sqrt()
    assert float(by_channel.max() / by_channel.min()) > 3


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_saved_states_are_read_in_every_float_dtype(tmp_path: Path, dtype: str) -> None:
    write_safetensors(tmp_path / "h.safetensors", {"hidden": from_floats(STATES.reshape(1, 3, 8), dtype)})
    found = saved_states(tmp_path / "h.safetensors", width=8)
    assert found.shape == (3, 8)
    assert np.allclose(found.numpy(), STATES, atol=0.01)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"a": from_floats(STATES, "F32"), "b": from_floats(STATES, "F32")}, "2 tensors, one is expected"),
        ({"a": from_numpy(np.zeros((3, 8), np.int32))}, "holds I32"),
        ({"a": from_floats(STATES[:, :4], "F32")}, "width 4, the head takes 8"),
        ({"a": from_floats(np.full((1, 8), np.nan, np.float32), "F32")}, "not finite"),
        ({"a": from_floats(np.zeros((0, 8), np.float32), "F32")}, "no hidden states"),
    ],
    ids=["two tensors", "integers", "width", "nan", "empty"],
)
def test_files_that_hold_something_else_are_refused(tmp_path: Path, tensors: dict, words: str) -> None:
    write_safetensors(tmp_path / "h.safetensors", tensors)
    with pytest.raises(UsageError, match=words):
        saved_states(tmp_path / "h.safetensors", width=8)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "h.safetensors").write_bytes(b"no header")
    with pytest.raises(UsageError, match="no hidden states: h"):
        saved_states(tmp_path / "h.safetensors", width=8)
