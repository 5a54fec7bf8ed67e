"""The work of a comparison cut into pieces of bounded size, done by threads in the order of the files."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ctq import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PIECE_BYTES = 32 * 1024 * 1024
"""Bytes of the original in a piece: threads end together, and bookkeeping costs nothing."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Piece(Generic[Result]):
    """Something to do, the bytes of the original that it reads, and the tensor that it reads them from."""

    run: Callable[[], Result]
    nbytes: int
    tensor: str


def ranges(length: int, nbytes: int, *, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Cut ``length`` rows of ``nbytes`` bytes in all into ranges that begin at multiples of ``multiple``."""
    each = max(1, nbytes // max(1, length))
    step = max(multiple, PIECE_BYTES // each // multiple * multiple)
    for start in range(0, length, step):
        yield start, min(start + step, length)


def run_pieces(pieces: Sequence[Piece[Result]], *, workers: int, on_event: events.OnEvent) -> list[Result]:
    """Do every piece on ``workers`` threads; results keep the order, and an exception of one stops the rest."""

    def run(piece: Piece[Result]) -> Result:
        result = piece.run()
        on_event(events.Advanced(piece.nbytes, piece.tensor))
        return result

    pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="ctq-verify")
    try:
        futures = [pool.submit(run, piece) for piece in pieces]
        wait(futures, return_when=FIRST_EXCEPTION)
        failed = next((future for future in futures if future.done() and future.exception()), None)
        return [failed.result()] if failed else [future.result() for future in futures]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
