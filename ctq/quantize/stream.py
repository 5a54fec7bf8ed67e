"""The stream: threads take units, read row blocks, quantize them in one fused pass and write them to their planned places.

Memory does not depend on the model: each thread owns block buffers of a few megabytes, reused for every unit.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

from ctq import events
from ctq.checkpoint.open_files import OpenFiles
from ctq.errors import CheckpointError
from ctq.quantize.copying import copy_range
from ctq.quantize.rows import quantize_unit
from ctq.quantize.units import CopyUnit, RowUnit, Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ctq.kernels.stats import BlockStats
    from ctq.quantize.journal import Journal


class Route(NamedTuple):
    """The folder that is read, and the one that is written."""

    source: Path
    target: Path


class _Stream:
    """The state that the threads share."""

    def __init__(
        self, pending: Iterator[tuple[int, Unit]], files: tuple[OpenFiles, OpenFiles], journal: Journal
    ) -> None:
        self.source, self.target = files
        self.journal = journal
        self.stopped = threading.Event()
        self.modules: dict[str, BlockStats] = {}
        self._pending = pending
        self._lock = threading.Lock()

    def next(self) -> tuple[int, Unit] | None:
        with self._lock:
            return None if self.stopped.is_set() else next(self._pending, None)

    def finished(self, index: int, unit: Unit, stats: BlockStats | None) -> None:
        self.journal.mark(index)
        if stats is not None and isinstance(unit, RowUnit):
            with self._lock:
                known = self.modules.get(unit.task.module)
                self.modules[unit.task.module] = stats if known is None else known + stats


def stream(
    units: Sequence[Unit], route: Route, journal: Journal, *, workers: int, on_event: events.OnEvent
) -> dict[str, BlockStats]:
    """Carry out every unit that the journal does not know as done, and return what was learned of each module.

    Raises:
        CheckpointError: a weight is not finite.
        OSError: reading or writing fails; units finished before stay in the journal.

    """
    pending = [(index, unit) for index, unit in enumerate(units) if index not in journal.done]
    on_event(events.Started("quantizing", sum(unit.nbytes for _, unit in pending)))
    with (
        OpenFiles(route.source, os.O_RDONLY) as sources,
        OpenFiles(route.target, os.O_WRONLY | os.O_NOFOLLOW) as targets,
    ):
        shared = _Stream(iter(pending), (sources, targets), journal)
        # The files outlive the threads: a descriptor closed under a thread could be another file's by its next write.
        with ThreadPoolExecutor(workers, thread_name_prefix="ctq") as pool:
            futures = [pool.submit(_work, shared, on_event) for _ in range(min(workers, len(pending)))]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                shared.stopped.set()  # also on an interrupt: the threads end after their block, then the pool
        for future in futures:
            future.result()
    on_event(events.Finished("quantizing"))
    return shared.modules


def _work(shared: _Stream, on_event: events.OnEvent) -> None:
    while (entry := shared.next()) is not None:
        index, unit = entry
        origin = unit.source.file if isinstance(unit, CopyUnit) else unit.task.source.file
        try:
            stats = _carry_out(shared, unit)
        except EOFError as error:
            raise CheckpointError(f"{origin}: ended early: it changed while it was read") from error
        if shared.stopped.is_set():
            return
        shared.finished(index, unit, stats)
        on_event(events.Advanced(unit.nbytes, unit.tensor if isinstance(unit, CopyUnit) else unit.task.tensor))


def _carry_out(shared: _Stream, unit: Unit) -> BlockStats | None:
    origin = unit.source if isinstance(unit, CopyUnit) else unit.task.source
    places = [unit.target] if isinstance(unit, CopyUnit) else unit.task.outputs.values()
    with shared.source.lease([origin.file]) as source, shared.target.lease(place.file for place in places) as targets:
        if isinstance(unit, RowUnit):
            return quantize_unit(unit, source=source[origin.file], targets=targets, stopped=shared.stopped)
        copy_range(
            source[origin.file],
            targets[unit.target.file],
            source_offset=origin.offset,
            target_offset=unit.target.offset,
            nbytes=unit.nbytes,
        )
    return None
