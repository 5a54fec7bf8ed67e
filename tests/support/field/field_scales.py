"""Scales: their shapes, dtypes and names."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np
from field_kind import add, kind
from field_model import Model, Raw, Skip, cast, made, pick, rows, turned
from raw_safetensors import from_floats

OTHER_NAMES: Final = (
    "scales",
    "weight_scale_inv",
    "scale",
    "weight.scale",
    "weight_quant_scale",
    "SCB",
    "weight_scales",
    "w_scale",
)


def _scale(m: Model, d: Random) -> str:
    return f"{pick(d, m.quantized())}.weight_scale"


def head_scale(m: Model) -> str:
    name = f"{m.head()}.weight_scale"
    if name not in m.tensors:
        raise Skip
    return name


def _first(raw: Raw, shape: tuple[int, ...]) -> Raw:
    return Raw(raw.dtype, shape, rows(Raw(raw.dtype, (-1,), raw.data), 1).data if raw.shape else raw.data)


def _wide(raw: Raw) -> int:
    return raw.shape[1] if len(raw.shape) > 1 else 1


RESHAPES: Final[dict[str, Callable[[Raw], Raw]]] = {
    "one value": lambda raw: _first(raw, (1,)),
    "a scalar": lambda raw: _first(raw, ()),
    "one by one": lambda raw: _first(raw, (1, 1)),
    "one axis": lambda raw: Raw(raw.dtype, (raw.shape[0] * _wide(raw),), raw.data),
    "turned": turned,
    "groups of half the size": lambda raw: rows(raw, _wide(raw) * 2, 1),
    "one group": lambda raw: rows(raw, 1 if _wide(raw) > 1 else 4, 1),
    "rows cut": lambda raw: rows(raw, max(raw.shape[0] // 2, 1)),
    "rows padded": lambda raw: rows(raw, raw.shape[0] + 64),
    "three axes": lambda raw: Raw(raw.dtype, (*raw.shape, 1), raw.data),
}


def _reshaped(raw: Raw, form: str) -> Raw:
    return RESHAPES[form](raw)


for _form in RESHAPES:
    add(f"scale: {_form}", lambda m, d, f=_form: m.put(s := _scale(m, d), _reshaped(m.tensors[s], f)))
    add(f"head's scale: {_form}", lambda m, d, f=_form: m.put(s := head_scale(m), _reshaped(m.tensors[s], f)))

    def _all(m: Model, d: Random, f: str = _form) -> None:
        for module in m.quantized():
            m.put(f"{module}.weight_scale", _reshaped(m.tensors[f"{module}.weight_scale"], f))

    add(f"all scales: {_form}", _all)


for _dtype in ("F32", "F16", "F64", "I8", "F8_E4M3"):
    add(f"scale as {_dtype}", lambda m, d, t=_dtype: m.put(s := _scale(m, d), cast(m.tensors[s], t)))
    add(f"head's scale as {_dtype}", lambda m, d, t=_dtype: m.put(s := head_scale(m), cast(m.tensors[s], t)))


for _name in OTHER_NAMES:

    def _called(m: Model, d: Random, n: str = _name) -> None:
        names = {f"{module}.weight_scale": f"{module}.{n}" for module in m.quantized()}
        one = pick(d, [None, *names])
        m.rename(lambda name: names.get(name, name) if one in (None, name) else name)

    add(f"scales called {_name}", _called)


@kind
def all_scales_as_f32(m: Model, d: Random) -> None:
    for module in m.quantized():
        m.put(f"{module}.weight_scale", cast(m.tensors[f"{module}.weight_scale"], "F32"))


@kind
def a_scale_missing(m: Model, d: Random) -> None:
    m.drop(_scale(m, d))


@kind
def all_scales_missing(m: Model, d: Random) -> None:
    for module in m.quantized():
        m.drop(f"{module}.weight_scale")


@kind
def heads_scale_missing(m: Model, d: Random) -> None:
    m.drop(head_scale(m))


@kind
def scale_beside_a_dense_matrix(m: Model, d: Random) -> None:
    module = pick(d, m.dense())
    m.put(f"{module}.weight_scale", made("BF16", (m.tensors[m.main(module)].shape[0], 1)))


@kind
def a_codes_tensor_stored_dense(m: Model, d: Random) -> None:
    module = pick(d, m.quantized())
    wide = {True: 4, False: 1}[f"{module}.weight_packed" in m.tensors]
    out, inner = m.tensors[m.main(module)].shape
    m.drop(m.main(module))
    m.put(f"{module}.weight", made("BF16", (out, inner * wide)))


@kind
def global_scale_beside(m: Model, d: Random) -> None:
    m.put(f"{pick(d, m.quantized())}.weight_global_scale", from_floats(np.array([64.0], np.float32), "F32"))


@kind
def weight_scale_2_beside(m: Model, d: Random) -> None:
    for module in m.quantized():
        m.put(f"{module}.weight_scale_2", from_floats(np.array(64.0, np.float32), "F32"))


@kind
def smoothquant_factors_left(m: Model, d: Random) -> None:
    m.put(f"{pick(d, m.quantized())}.{pick(d, ('smooth_scale', 'act_scale', 'pre_quant_scale'))}", made("BF16", (128,)))
