"""The one table of safetensors dtypes: how many bits an element takes, and the order in which the format sorts them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dtype:
    """A dtype of the safetensors format; ``rank`` grows with the order that the format's own serializer sorts by."""

    name: str
    bits: int
    rank: int
    torch_name: str | None


# In the order of the `Dtype` enumeration of safetensors' Rust source: its serializer writes the largest first.
_ROWS: tuple[tuple[str, int, str | None], ...] = (
    ("BOOL", 8, "bool"),
    ("F4", 4, None),
    ("F6_E2M3", 6, None),
    ("F6_E3M2", 6, None),
    ("U8", 8, "uint8"),
    ("I8", 8, "int8"),
    ("F8_E5M2", 8, "float8_e5m2"),
    ("F8_E4M3", 8, "float8_e4m3fn"),
    ("F8_E8M0", 8, "float8_e8m0fnu"),
    ("F8_E4M3FNUZ", 8, "float8_e4m3fnuz"),
    ("F8_E5M2FNUZ", 8, "float8_e5m2fnuz"),
    ("I16", 16, "int16"),
    ("U16", 16, "uint16"),
    ("F16", 16, "float16"),
    ("BF16", 16, "bfloat16"),
    ("I32", 32, "int32"),
    ("U32", 32, "uint32"),
    ("F32", 32, "float32"),
    ("C64", 64, "complex64"),
    ("F64", 64, "float64"),
    ("I64", 64, "int64"),
    ("U64", 64, "uint64"),
)

DTYPES: dict[str, Dtype] = {name: Dtype(name, bits, rank, torch) for rank, (name, bits, torch) in enumerate(_ROWS)}

FLOAT_SOURCES = frozenset({"BF16", "F16", "F32"})
"""The dtypes of weights that can be quantized."""
FLOATS = FLOAT_SOURCES | {"F64"}
"""The dtypes of weights that are not: loaders convert one into another."""
