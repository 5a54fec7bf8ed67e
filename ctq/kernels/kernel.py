"""A compiled loop as a value: which Python function, for which arguments, and the sources it is made of."""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = ("compiling.py", "formats.py", "primitives.py", "weights.py", "quantize_rows.py", "compare_rows.py")
"""The files of this folder that machine code is made from: when one changes, all is compiled anew."""


SYMBOL = "ctq_kernel"
"""The name of every kernel's machine code."""


@dataclass(frozen=True)
class Kernel:
    """A function of the module of this package with the same name; it returns nothing and calls nothing outside.

    ``arguments`` are names of C types as numba has them (``int64``); an asterisk in front makes a pointer.
    """

    name: str
    dtype: str
    arguments: tuple[str, ...]
