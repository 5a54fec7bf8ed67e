"""Tensors stored in other dtypes."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Final

from field_kind import add_as, kind
from field_model import Model, cast, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


PLACES: Final[Mapping[str, Callable[[Model, Random], str]]] = {
    "a dense matrix": lambda m, d: m.main(pick(d, m.dense())),
    "a norm": lambda m, d: pick(d, m.norms()),
    "codes": lambda m, d: m.main(pick(d, m.quantized())),
    "head": lambda m, _: m.main(m.head()),
    "embedding": lambda m, _: m.main(m.embedding()),
}
"""Tensors that are cast, by what they are."""


def _cast(place: str, dtype: str) -> None:
    @add_as(f"{place} as {dtype}")
    def change(m: Model, d: Random) -> None:
        name = PLACES[place](m, d)
        m.put(name, cast(m.tensors[name], dtype))


for _dtype in ("F32", "F16", "F64", "F8_E4M3", "I8", "U8", "I32"):
    for _place in PLACES:
        _cast(_place, _dtype)


@kind
def all_floats_as_another_dtype(m: Model, d: Random) -> None:
    dtype = pick(d, ("F16", "F32"))
    for name, raw in list(m.tensors.items()):
        if raw.dtype == "BF16":
            m.put(name, cast(raw, dtype))


@kind
def norms_and_router_in_f32(m: Model, d: Random) -> None:
    for name, raw in list(m.tensors.items()):
        if raw.dtype == "BF16" and ("norm" in name or name.endswith(("gate.weight", "router.weight"))):
            m.put(name, cast(raw, "F32"))


@kind
def whole_layer_in_fp8_without_scales(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    start = f"{prefix}{pick(d, numbers)}."
    for module in [module for module in m.dense() if module.startswith(start)] or pick(d, []):
        m.put(f"{module}.weight", cast(m.tensors[f"{module}.weight"], "F8_E4M3"))
