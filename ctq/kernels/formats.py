"""The stored dtypes of weights and scales as numbers, so that one kernel rounds scales for all of them.

A stored scale s has so few significant bits (8 for BF16, 11 for F16, 15 for F32 by choice here) that
d * s and (d + 1/2) * s are exact in float32 for every integer |d| <= 255. Two things follow. No quotient w / s is
rounded onto a half-integer that it is not: w and (d + 1/2) * s are both float32 numbers, so when they differ, their
quotients by s differ by more than half a unit in the last place. And w - d * s has no rounding error. So the
nearest integer to the rounded quotient is a nearest one to the true quotient, and the half-step bound is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_FLOAT = (2 - 2.0**-23) * 2.0**127


@dataclass(frozen=True)
class Format:
    """A dtype seen from float32: ``word`` names the C type of its bits in kernels, which tells kernels the dtype.

    Scales lose the low bits ``dropped`` of a float32 and lie on multiples of ``grid`` below ``normal``. The stored bits
    are those of the float32 less ``bias``, shifted by ``shift``.
    """

    word: str
    dropped: int
    normal: float
    grid: float
    bias: int
    shift: int
    largest: float


FORMATS = {
    "BF16": Format("uint16", 0xFFFF, 2.0**-126, 2.0**-126, 0, 16, LARGEST_FLOAT),
    "F16": Format("int16", 0x1FFF, 2.0**-14, 2.0**-24, 112 << 23, 13, 65504.0),
    "F32": Format("uint32", 0x1FF, 2.0**-126, 2.0**-126, 0, 0, LARGEST_FLOAT),
}
