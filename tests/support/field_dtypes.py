"""Tensors stored in other dtypes."""

from __future__ import annotations

from random import Random

from field_kind import add_as, kind
from field_model import Model, cast, pick


def _dtype(dtype: str) -> None:
    @add_as(f"a dense matrix as {dtype}")
    def one(m: Model, d: Random) -> None:
        name = m.main(pick(d, m.dense()))
        m.put(name, cast(m.tensors[name], dtype))

    @add_as(f"a norm as {dtype}")
    def norm(m: Model, d: Random) -> None:
        name = pick(d, m.norms())
        m.put(name, cast(m.tensors[name], dtype))

    @add_as(f"codes as {dtype}")
    def codes(m: Model, d: Random) -> None:
        name = m.main(pick(d, m.quantized()))
        m.put(name, cast(m.tensors[name], dtype))

    @add_as(f"head as {dtype}")
    def head(m: Model, d: Random) -> None:
        name = m.main(m.head())
        m.put(name, cast(m.tensors[name], dtype))

    @add_as(f"embedding as {dtype}")
    def embedding(m: Model, d: Random) -> None:
        name = m.main(m.embedding())
        m.put(name, cast(m.tensors[name], dtype))


for _name in ("F32", "F16", "F64", "F8_E4M3", "I8", "U8", "I32"):
    _dtype(_name)


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
