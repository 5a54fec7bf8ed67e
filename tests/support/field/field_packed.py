"""Packed codes, zero points, shapes and orders of columns."""

from __future__ import annotations

from random import Random

import numpy as np
from field_kind import kind
from field_model import Model, Raw, Skip, as_bits, bits, made, pick, rows, turned
from raw_safetensors import from_numpy


@kind
def zero_point_left(m: Model, d: Random) -> None:
    every = m.quantized()
    for module in every if d.random() < 0.5 else [pick(d, every)]:
        scale = m.tensors[f"{module}.weight_scale"]
        name = pick(d, ("weight_zero_point",))
        m.put(f"{module}.{name}", made(pick(d, ("I8", "I32", "BF16")), scale.shape))


@kind
def zero_points_missing(m: Model, d: Random) -> None:
    for name in [name for name in m.tensors if name.endswith("zero_point")] or pick(d, []):
        m.drop(name)


@kind
def a_zero_point_missing(m: Model, d: Random) -> None:
    m.drop(pick(d, [name for name in m.tensors if name.endswith("zero_point")]))


@kind
def a_zero_point_not_packed(m: Model, d: Random) -> None:
    name = pick(d, [name for name in m.tensors if name.endswith("weight_zero_point")])
    m.put(name, made("I8", m.tensors[name.replace("zero_point", "scale")].shape))


@kind
def weight_shape_missing(m: Model, d: Random) -> None:
    every = m.packed()
    for module in every if d.random() < 0.5 else [pick(d, every)]:
        m.drop(f"{module}.weight_shape")


@kind
def weight_shape_as_i32(m: Model, d: Random) -> None:
    for module in m.packed():
        raw = m.tensors[f"{module}.weight_shape"]
        m.put(f"{module}.weight_shape", from_numpy(np.frombuffer(raw.data, "<i8").astype(np.int32)))


@kind
def weight_shape_turned(m: Model, d: Random) -> None:
    module = pick(d, m.packed())
    raw = m.tensors[f"{module}.weight_shape"]
    m.put(f"{module}.weight_shape", from_numpy(np.frombuffer(raw.data, "<i8")[::-1].copy()))


@kind
def weight_shape_with_one_value(m: Model, d: Random) -> None:
    module = pick(d, m.packed())
    m.put(f"{module}.weight_shape", from_numpy(np.array([128], np.int64)))


@kind
def g_idx_left(m: Model, d: Random) -> None:
    every = m.packed()
    for module in every if d.random() < 0.5 else [pick(d, every)]:
        size = m.tensors[f"{module}.weight_packed"].shape[1] * 4
        m.put(f"{module}.{pick(d, ('weight_g_idx', 'g_idx'))}", made("I32", (size,)))


@kind
def actorder_without_g_idx(m: Model, d: Random) -> None:
    m.packed()
    for group in m.groups.values():
        group["weights"]["actorder"] = pick(d, ("group", "static", "weight", "dynamic", True, False))


@kind
def actorder_with_g_idx(m: Model, d: Random) -> None:
    actorder_without_g_idx(m, d)
    for module in m.packed():
        size = m.tensors[f"{module}.weight_packed"].shape[1] * 4
        m.put(f"{module}.weight_g_idx", made("I32", (size,)))


@kind
def packed_codes_turned(m: Model, d: Random) -> None:
    name = f"{pick(d, m.packed())}.weight_packed"
    m.put(name, turned(m.tensors[name]))


@kind
def packed_codes_as_bytes(m: Model, d: Random) -> None:
    name = f"{pick(d, m.packed())}.weight_packed"
    raw = m.tensors[name]
    m.put(name, Raw(pick(d, ("U8", "I8")), (raw.shape[0], raw.shape[1] * 4), raw.data))


@kind
def codes_called_as_the_other_format(m: Model, d: Random) -> None:
    every = m.quantized()
    chosen = set(every if d.random() < 0.5 else [pick(d, every)])

    def new(name: str) -> str:
        module, _, part = name.rpartition(".")
        return (
            f"{module}.{ {'weight': 'weight_packed', 'weight_packed': 'weight'}.get(part, part) }"
            if module in chosen
            else name
        )

    m.rename(new)


@kind
def codes_called_qweight(m: Model, d: Random) -> None:
    modules = set(m.quantized())
    m.rename(
        lambda name: (
            name.rpartition(".")[0] + ".qweight"
            if name.rpartition(".")[0] in modules and name.endswith((".weight", ".weight_packed"))
            else name
        )
    )


@kind
def names_of_gptq(m: Model, d: Random) -> None:
    table = {"weight": "qweight", "weight_packed": "qweight", "weight_scale": "scales", "weight_zero_point": "qzeros"}
    modules = set(m.quantized())
    m.rename(
        lambda name: (
            f"{name.rpartition('.')[0]}.{table.get(name.rpartition('.')[2], name.rpartition('.')[2])}"
            if name.rpartition(".")[0] in modules
            else name
        )
    )


@kind
def codes_packed_tighter(m: Model, d: Random) -> None:
    every = m.packed()
    for module in every if d.random() < 0.5 else [pick(d, every)]:
        raw = m.tensors[f"{module}.weight_packed"]
        m.put(f"{module}.weight_packed", as_bits(raw, bits(raw)[:, : raw.shape[1] // 2]))


@kind
def head_packed_with_padding(m: Model, d: Random) -> None:
    module = m.head()
    if f"{module}.weight_packed" not in m.tensors:
        raise Skip
    extra = pick(d, (32, 64, 128))
    for part in ("weight_packed", "weight_scale"):
        raw = m.tensors[f"{module}.{part}"]
        m.put(f"{module}.{part}", rows(raw, raw.shape[0] + extra))
