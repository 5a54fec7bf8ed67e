"""Rows shared out to threads: all of them, once each, and torch's own threads as they were."""

from __future__ import annotations

import threading

import pytest
import torch

from ctq.verify.row_threads import over_rows


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 1000])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_row_is_in_one_range(rows: int, device: str) -> None:
    seen: list[int] = []
    lock = threading.Lock()

    def work(first: int, last: int) -> None:
        with lock:
            seen.extend(range(first, last))

    over_rows(rows, work, device=device)
    assert sorted(seen) == list(range(rows))


def test_torchs_threads_are_set_back_even_after_a_failure() -> None:
    before = torch.get_num_threads()

    def fail(first: int, last: int) -> None:
        raise ValueError(first)

    with pytest.raises(ValueError, match="0"):
        over_rows(100, fail, device="cpu")
    assert torch.get_num_threads() == before
