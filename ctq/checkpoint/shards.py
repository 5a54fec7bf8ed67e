"""Which tensors share a file: shards up to a size limit, with the names and the size units of the Hugging Face hub."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ctq.checkpoint.index import SINGLE_NAME
from ctq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_SHARD_SIZE = "5GB"
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_FORGOTTEN = 1000
"""Fewer bytes than anybody wants a file to have: who writes 5 means 5GB."""


def shard_plan(sizes: Iterable[tuple[str, int]], max_shard_size: int) -> list[list[str]]:
    """Split tensors of ``(name, nbytes)`` into shards of at most ``max_shard_size`` bytes, in the given order.

    A tensor larger than the limit gets a shard of its own, placed before the shard that is then being filled, as in
    huggingface_hub 2.4.0 ``serialization/_base.py``; unlike there, no shard is ever empty.
    """
    shards: list[list[str]] = []
    current: list[str] = []
    filled = 0
    for name, nbytes in sizes:
        if nbytes > max_shard_size:
            shards.append([name])
            continue
        if current and filled + nbytes > max_shard_size:
            shards.append(current)
            current, filled = [], 0
        current.append(name)
        filled += nbytes
    return [*shards, current] if current else shards


def shard_names(count: int) -> list[str]:
    """Return the file names of ``count`` shards; a single one is ``model.safetensors`` and needs no index."""
    if count == 1:
        return [SINGLE_NAME]
    return [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]


def parse_size(text: str) -> int:
    """Return the bytes that ``text`` names: ``5GB``, ``1.5 gb``, decimal units as on the hub, or a bare number of bytes.

    Raises:
        UsageError: no number, no such unit, or so few bytes that a unit was forgotten.

    """
    cleaned = text.strip().upper()
    unit = cleaned[-2:]
    number = cleaned[:-2] if unit in _UNITS else cleaned
    try:
        nbytes = float(number) * _UNITS.get(unit, 1)
    except ValueError:
        nbytes = math.nan
    if unit not in _UNITS and 1 <= nbytes < _FORGOTTEN:
        raise UsageError(f"'{text}' has no unit", hint=f"give one: {text}GB or {text}MB")
    if not 1 <= nbytes < math.inf:
        raise UsageError(f"'{text}' is not a size", hint="give one like 5GB, 500MB or 1.5TB (decimal units)")
    return int(nbytes)
