"""The work of a run: what is read from where, and written to which place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.quantize.tasks import CopyTask, Place, QuantizeTask, Task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.writer import PlannedFile
    from ctq.quantize.outputs import Output
    from ctq.recipe.recipe import Observer


def tasks_of(
    source: Checkpoint, outputs: Sequence[Output], files: Mapping[str, PlannedFile], observer: Observer
) -> Iterator[Task]:
    """Yield the task of each quantized output, then the copies of the rest in the order of the source."""
    places = {
        name: Place(file, start, end - start)
        for file, planned in files.items()
        for name, (start, end) in planned.offsets.items()
    }
    copies: list[CopyTask] = []
    for output in outputs:
        origin = _origin(source, output.tensor)
        if output.scheme is None or output.weight is None:
            copies.append(CopyTask(tensor=output.tensor, source=origin, target=places[output.tensor]))
            continue
        info = source.tensors[output.tensor]
        yield QuantizeTask(
            module=output.module,
            weight=output.weight,
            dtype=info.dtype,
            scheme=output.scheme,
            source=origin,
            outputs={spec.name.removeprefix(f"{output.module}."): places[spec.name] for spec in output.specs},
            observer=observer,
        )
    yield from _merged(copies)


def _origin(source: Checkpoint, tensor: str) -> Place:
    shard, info = source.shard_of[tensor], source.tensors[tensor]
    return Place(shard, source.headers[shard].data_start + info.start, info.nbytes)


def _merged(copies: list[CopyTask]) -> Iterator[CopyTask]:
    """Join copies that are adjacent in source and target alike, so that small tensors cost no call each."""
    pending: CopyTask | None = None
    for copy in sorted(copies, key=lambda task: (task.source.file, task.source.offset)):
        if pending is not None and _adjacent(pending, copy):
            pending = CopyTask(
                tensor=pending.tensor,
                source=_joined(pending.source, copy.source),
                target=_joined(pending.target, copy.target),
            )
            continue
        if pending is not None:
            yield pending
        pending = copy
    if pending is not None:
        yield pending


def _adjacent(first: CopyTask, second: CopyTask) -> bool:
    return all(
        a.file == b.file and a.offset + a.nbytes == b.offset
        for a, b in ((first.source, second.source), (first.target, second.target))
    )


def _joined(first: Place, second: Place) -> Place:
    return Place(first.file, first.offset, first.nbytes + second.nbytes)
