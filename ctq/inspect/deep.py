"""The values of scales, shapes, norms and biases: small tensors, read one at a time, and only when asked for.

Of weights a few kilobytes are read: enough to tell one that was never written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ctq.checkpoint.dtypes import FLOATS
from ctq.checkpoint.values import decode
from ctq.inspect.facts.oddities import Odd, Oddity
from ctq.inspect.modules.forms import Form
from ctq.inspect.modules.parts import stored_name
from ctq.inspect.samples import find_empty
from ctq.recipe.packing import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.inspect.facts.entries import Entry

_SCALES = ("weight_scale", "weight_global_scale", "input_scale", "weight_scale_inv", "input_global_scale")
_LARGEST = 1 << 30
"""Bytes; a larger scale tensor is no small one, and is left alone."""
_ABSURD = 1000.0
_VANISHING = 1e-12
"""A weight whose every scale is below this is zero; the smallest F16 is larger."""


def examine(checkpoint: Checkpoint, entries: Sequence[Entry]) -> tuple[Odd, ...]:
    """Read the scales, shapes and vectors of all modules and a little of each weight, and return what is odd about them.

    Memory stays near the largest of them.

    Raises:
        CheckpointError: a file cannot be read any more.

    """
    jobs = list(_jobs(entries))
    found = checkpoint.source.concurrently(lambda job: _examine(checkpoint, *job), jobs)
    return (*(odd for odd in found if odd is not None), *find_empty(checkpoint, entries))


def _jobs(entries: Sequence[Entry]) -> Iterator[tuple[Entry, str, str]]:
    for entry in entries:
        scales = (*_SCALES, "weight_shape") if entry.stored.is_quantized else ()
        vectors = [part for part, info in entry.modules.parts.items() if len(info.shape) == 1 and info.dtype in FLOATS]
        wanted = list(dict.fromkeys((*(part for part in scales if part in entry.modules.parts), *vectors)))
        for name in entry.modules.names:
            yield from ((entry, name, part) for part in wanted if entry.modules.parts[part].nbytes <= _LARGEST)


def _examine(checkpoint: Checkpoint, entry: Entry, module: str, part: str) -> Odd | None:
    tensor = stored_name(module, part, checkpoint.tensors)
    raw = checkpoint.read(tensor)
    if part == "weight_shape":
        return _false_shape(tensor, raw, entry)
    values = decode(raw, entry.modules.parts[part].dtype)
    if values is None or values.size == 0:
        return None
    return _odd_scale(tensor, values, exact=_is_float(entry, part)) if part in _SCALES else _odd_vector(tensor, values)


def _is_float(entry: Entry, part: str) -> bool:
    """Tell scales that can be judged as they stand from FP8 ones, which may round to zero under a global scale."""
    return entry.modules.parts[part].dtype in FLOATS


def _odd_vector(tensor: str, values: npt.NDArray[np.float32]) -> Odd | None:
    wrong = values.size - int(np.isfinite(values).sum())
    if not wrong:
        return None
    return Odd(tensor, Oddity.VECTOR_NOT_FINITE, f"{wrong} of {values.size} values are NaN or infinite")


def _odd_scale(tensor: str, values: npt.NDArray[np.float32], *, exact: bool) -> Odd | None:
    finite = np.isfinite(values)
    if not finite.all():
        return Odd(
            tensor, Oddity.NOT_FINITE, f"{values.size - int(finite.sum())} of {values.size} scales are NaN or infinite"
        )
    bad = int((values < 0).sum()) + (int((values == 0).sum()) if exact else 0)
    if bad:
        return Odd(tensor, Oddity.NOT_POSITIVE, f"{bad} of {values.size} scales are zero or negative")
    if exact and _multiplies_directly(tensor) and float(values.max()) > _ABSURD:
        return Odd(tensor, Oddity.ABSURD, f"scales up to {float(values.max()):.3g}")
    if exact and not tensor.endswith(("input_scale", "_global_scale")) and float(values.max()) < _VANISHING:
        return Odd(tensor, Oddity.EMPTY, f"scales of at most {float(values.max()):.3g} make every weight zero")
    return None


def _multiplies_directly(tensor: str) -> bool:
    """Tell a scale that multiplies integers or FP8 values directly from a global one, which may be large."""
    return not tensor.endswith("_global_scale")


def _false_shape(tensor: str, raw: bytes, entry: Entry) -> Odd | None:
    part, packed = entry.modules.parts["weight_shape"], entry.modules.parts.get("weight_packed")
    size = {"I64": 8, "I32": 4}.get(part.dtype)
    if entry.stored.form is not Form.PACKED or size is None or packed is None:
        return None
    if len(packed.shape) < 2 or len(raw) != 2 * size:  # no matrix; no rows and columns
        return None
    shape = [int.from_bytes(raw[i : i + size], "little", signed=True) for i in (0, size)]
    wide = words(shape[1], entry.stored.bits) if entry.stored.bits else packed.shape[-1]
    if [shape[0], wide] == list(packed.shape[-2:]):
        return None
    return Odd(tensor, Oddity.FALSE_SHAPE, f"says {shape}, but weight_packed is {list(packed.shape)}")
