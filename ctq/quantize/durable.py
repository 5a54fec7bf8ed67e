"""Getting written data onto the disk before a result takes its name (`--fsync`).

A rename may reach the disk before the data of the files that it names: after a power loss the output could be a model of zeros. A
killed process loses nothing, since its writes are the kernel's already; so, like cp and every peer, a run waits for the disk
only when it is asked to.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def sync_tree(folder: Path) -> None:
    """Wait until every file below ``folder``, and its entries, are on disk.

    Raises:
        OSError: the disk could not take it.

    """
    for root, _, names in os.walk(folder):
        for name in names:
            _sync(os.path.join(root, name))  # noqa: PTH118  # os.walk gives strings
        _sync(root)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
