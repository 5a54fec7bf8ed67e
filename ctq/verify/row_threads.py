"""Rows shared out to threads of our own, each computing alone. Needs torch.

torch's own threads meet after every operation; on a machine that is busy with anything else each meeting waits for whoever was
put to sleep, which was measured to take ten times as long as one thread alone. Ranges of rows need no meetings.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def over_rows(rows: int, work: Callable[[int, int], None], *, device: str) -> None:
    """Call ``work(start, stop)`` for ranges that cover ``rows``: one for each processor, or a single one on a GPU."""
    threads = torch.get_num_threads()
    count = 1 if device == "cuda" else max(1, min(threads, rows))
    if count == 1:
        work(0, rows)
        return
    borders = [rows * part // count for part in range(count + 1)]
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count, thread_name_prefix="ctq-head") as pool:
            list(pool.map(work, borders[:-1], borders[1:]))
    finally:
        torch.set_num_threads(threads)
