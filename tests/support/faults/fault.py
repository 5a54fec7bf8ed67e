"""What a fault is: a name, the part of a checkpoint that it breaks, and a function of a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from faults_model import Model, open_model

if TYPE_CHECKING:
    from pathlib import Path

Part = Literal["config", "names", "tensors", "index", "files", "numbers"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break a healthy quantized checkpoint; raises `Inapplicable` where there is nothing to break.

    Faults of ``numbers`` leave every name, dtype and shape as it was, so no engine that only loads can see them.
    """

    name: str
    part: Part
    change: Callable[[Path], object]

    @staticmethod
    def edit(name: str, part: Part, change: Callable[[Model], object]) -> Fault:
        """Make a fault of a change to the config and the tensors as values."""

        def run(folder: Path) -> None:
            model = open_model(folder)
            change(model)
            model.save()

        return Fault(name, part, run)
