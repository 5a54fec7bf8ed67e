"""Numbers of bytes for people: decimal units, as the hub and disks count."""

from __future__ import annotations


def size(nbytes: float) -> str:
    """Return ``nbytes`` with three digits or so: ``3.01 GB``, ``412 MB``, ``86 B``."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= scale:
            value = nbytes / scale
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"  # three digits are enough
    return f"{nbytes:.0f} B"
