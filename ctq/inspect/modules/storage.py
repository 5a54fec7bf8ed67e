"""How a module is stored, as closely as quantization methods tell one from another: what GPTQ's layer takes AWQ's does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.inspect.modules.forms import Form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.inspect.modules.forms import Stored
    from ctq.inspect.modules.grouping import Part


def storage(stored: Stored, parts: Mapping[str, Part]) -> str:
    """Name the storage of a module with these parts: its form, for floats with the strategy and whether activations are static."""
    if stored.form is Form.FLOAT:
        words = [stored.form, _strategy(stored.strategy, parts.get("weight_scale"))]
        return " ".join([*words, *(["static"] if "input_scale" in parts else [])])
    return stored.form


def _strategy(strategy: str | None, scale: Part | None) -> str:
    """Tell scales by their dimensions too: a table of one block from a number, a vector from a column."""
    dimensions = len(scale.shape) if scale is not None else 0
    if strategy == "tensor" and dimensions > 1:
        return "block"
    return "vector" if strategy == "channel" and dimensions == 1 else f"{strategy}"
