"""Find the tensors of the files that a loader cut: it took a part, and left the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .coverage import covered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .recorder import Recorder


def partly_read(recorder: Recorder) -> Iterator[dict[str, Any]]:
    """Yield the tensors of the files of which a loader took a part and left the rest, which one rank alone has no reason for."""
    for key, regions in recorder.reads.items():
        origin = recorder.origins[key]
        if len(origin.names) != 1 or not origin.moved or key in recorder.writes:
            continue  # computed values, and parameters
        (name,) = origin.names
        read = covered(regions, start=0, end=origin.elements)
        if 0 < read < origin.elements:
            yield {"name": name, "elements": origin.elements, "read": read}
