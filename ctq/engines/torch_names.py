"""Names of torch's dtypes, as configs spell them, so that nothing needs torch to know them."""

from __future__ import annotations

TORCH_DTYPES = frozenset(
    (
        *("float16", "half", "bfloat16", "float32", "float", "float64", "double"),
        *("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float8_e4m3fnuz", "float8_e5m2fnuz"),
        *("int8", "uint8", "int16", "short", "int32", "int", "int64", "long", "bool", "complex64"),
    )
)
"""Loaders look these up in torch while they read a config, and stop at any other."""
