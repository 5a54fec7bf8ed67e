"""What transformers calls its heads, and what stops it from loading quantized layers of the body, by architecture. Pure.

The data is made by ``benchmarks/learn/transformers_loading.py``, from the classes of the release that it names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from ctq.engines.data_file import read_data
from ctq.engines.verdicts.head_facts import Outcome
from ctq.engines.versions import version_key

if TYPE_CHECKING:
    from collections.abc import Iterable

Form = Literal["int8", "packed"]
_EXPERT: Final = re.compile(r"\.experts\.\d+\.")
_NUMBER: Final = re.compile(r"\b\d+\b")
_SINCE: Final = "5.0.0"
"""Before, every expert was a module of its own."""


class Layer(NamedTuple):
    """One quantized layer, or one that stands for others alike: its name, and how it is stored."""

    name: str
    form: Form


def newest_transformers() -> str:
    """Return the newest release of transformers that the data covers."""
    return str(read_data("transformers_loading")["version"])


def head_name(architecture: str | None) -> str | None:
    """Return the full name that transformers' class gives its head where that is not `lm_head`; None of others and unknown ones."""
    found = read_data("transformers_loading")["heads"].get(architecture or "")
    return found if isinstance(found, str) else None


def layers_outcome(architecture: str | None, layers: Iterable[Layer], version: str) -> tuple[Outcome, str] | None:
    """Return what ``version`` of transformers makes of these layers, and the first that is to blame; None where they load."""
    if version_key(version) < version_key(_SINCE):
        return None
    name = architecture or ""
    data = read_data("transformers_loading")
    experts, read = data["experts"].get(name), data["read_at_start"].get(name, ())
    for layer in layers if experts or read else ():
        why = _why(layer, experts if _EXPERT.search(layer.name) else None, read)
        if why is not None:
            return why, layer.name
    return None


def _why(layer: Layer, experts: object, read: Iterable[str]) -> Outcome | None:
    if experts == "merged" and layer.form == "int8":
        return Outcome(
            "fails",
            "transformers merges the experts of a layer while it loads them, and can do so with packed and FP8 ones only",
        )
    if experts == "whole":
        return Outcome("garbage", "transformers knows no single experts of this architecture, and makes them all up")
    if layer.form == "packed" and _NUMBER.sub("#", layer.name) in read:
        return Outcome("fails", "transformers reads its weight while it builds the model, which a packed layer lacks")
    return None
