"""What lies beside codes: scales, zero points, shapes and orders, as merges and other tools leave them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np
from field_kind import add, kind
from field_model import Model, Raw, Skip, as_bits, bits, cast, made, pick, rows, turned
from raw_safetensors import from_floats, from_numpy

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


def _head_scale(m: Model) -> str:
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
    add(f"head's scale: {_form}", lambda m, d, f=_form: m.put(s := _head_scale(m), _reshaped(m.tensors[s], f)))

    def _all(m: Model, d: Random, f: str = _form) -> None:
        for module in m.quantized():
            m.put(f"{module}.weight_scale", _reshaped(m.tensors[f"{module}.weight_scale"], f))

    add(f"all scales: {_form}", _all)

for _dtype in ("F32", "F16", "F64", "I8", "F8_E4M3"):
    add(f"scale as {_dtype}", lambda m, d, t=_dtype: m.put(s := _scale(m, d), cast(m.tensors[s], t)))
    add(f"head's scale as {_dtype}", lambda m, d, t=_dtype: m.put(s := _head_scale(m), cast(m.tensors[s], t)))

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
    m.drop(_head_scale(m))


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
def a_module_left_dense(m: Model, d: Random) -> None:
    module = pick(d, m.quantized())
    _dense(m, module)


@kind
def a_kind_of_module_left_dense(m: Model, d: Random) -> None:
    word = pick(d, {module.rpartition(".")[2] for module in m.quantized()})
    for module in [module for module in m.quantized() if module.endswith("." + word)]:
        _dense(m, module)


@kind
def a_module_left_dense_and_ignored(m: Model, d: Random) -> None:
    module = pick(d, m.quantized())
    _dense(m, module)
    m.quant["ignore"] = [
        *(m.quant.get("ignore") or []),
        pick(d, (module, f"re:.*{module.rpartition('.')[2]}$", module + ".*")),
    ]


@kind
def a_kind_of_module_left_dense_and_ignored(m: Model, d: Random) -> None:
    word = pick(d, {module.rpartition(".")[2] for module in m.quantized()})
    found = [module for module in m.quantized() if module.endswith("." + word)]
    for module in found:
        _dense(m, module)
    style = pick(d, ("names", "pattern", "word", "glob", "without model."))
    new = {
        "names": found,
        "pattern": [f"re:.*{word}$"],
        "word": [word],
        "glob": [f"*.{word}"],
        "without model.": [module.removeprefix("model.") for module in found],
    }[style]
    m.quant["ignore"] = [*(m.quant.get("ignore") or []), *new]


@kind
def a_layer_left_dense_and_ignored(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    start = f"{prefix}{pick(d, numbers)}."
    found = [module for module in m.quantized() if module.startswith(start)]
    for module in found or pick(d, []):
        _dense(m, module)
    new = pick(
        d, (found, [f"re:{start}.*"], [f"re:.*{start.removeprefix('model.')}.*"], [start.rstrip(".")], [start + "*"])
    )
    m.quant["ignore"] = [*(m.quant.get("ignore") or []), *new]


@kind
def head_left_dense(m: Model, d: Random) -> None:
    _head_scale(m)
    _dense(m, m.head())


@kind
def head_left_dense_and_ignored(m: Model, d: Random) -> None:
    _head_scale(m)
    _dense(m, m.head())
    m.quant["ignore"] = [
        *(m.quant.get("ignore") or []),
        pick(d, ("lm_head", "re:.*lm_head", m.head(), "re:.*lm_head.*", "model.lm_head")),
    ]


def _dense(m: Model, module: str) -> None:
    parts = m.parts(module)
    if "weight_packed" in parts:
        out, words = parts["weight_packed"].shape
        per = 32 // int(next(iter(m.groups.values()))["weights"]["num_bits"])
        shape = (out, words * per)
    else:
        shape = parts["weight"].shape  # type: ignore[assignment]
    for part in parts:
        if part != "bias":
            m.drop(f"{module}.{part}")
    m.put(f"{module}.weight", made("BF16", shape))


@kind
def dense_matrix_left_beside_the_codes(m: Model, d: Random) -> None:
    module = pick(d, m.packed())
    out, words = m.tensors[f"{module}.weight_packed"].shape
    m.put(f"{module}.weight", made("BF16", (out, words * 4)))


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
def input_scales_of_dynamic_activations(m: Model, d: Random) -> None:
    every = m.quantized()
    for module in every if d.random() < 0.5 else [pick(d, every)]:
        m.put(f"{module}.{pick(d, ('input_scale', 'input_zero_point', 'output_scale'))}", made("BF16", (1,)))


@kind
def input_scales_missing(m: Model, d: Random) -> None:
    names = [name for name in m.tensors if name.endswith("input_scale")]
    for name in names if d.random() < 0.5 else [pick(d, names)]:
        m.drop(name)


@kind
def an_input_scale_with_many_values(m: Model, d: Random) -> None:
    name = pick(d, [name for name in m.tensors if name.endswith("input_scale")])
    m.put(name, made("BF16", (128,)))


@kind
def scales_of_the_cache_left(m: Model, d: Random) -> None:
    prefix, numbers = m.layers()
    word = pick(d, {name.split(".")[0] for name in m.layer(numbers[0]) if "attn" in name})
    form = pick(
        d,
        (
            "k_scale v_scale",
            "k_proj.output_scale v_proj.output_scale",
            "attn.k_scale attn.v_scale",
            "kv_scale",
            "q_scale",
        ),
    )
    for number in numbers:
        for name in form.split():
            m.put(f"{prefix}{number}.{word}.{name}", made(pick(d, ("BF16", "F32")), pick(d, ((1,), ()))))


@kind
def scales_of_the_cache_with_a_scheme(m: Model, d: Random) -> None:
    scales_of_the_cache_left(m, d)
    m.quant["kv_cache_scheme"] = {
        "num_bits": 8,
        "type": "float",
        "strategy": "tensor",
        "symmetric": True,
        "dynamic": False,
    }


@kind
def embedding_quantized(m: Model, d: Random) -> None:
    module = m.embedding()
    shape = m.tensors[m.main(module)].shape
    m.put(f"{module}.weight", made("I8", shape))
    m.put(f"{module}.weight_scale", made("BF16", (shape[0], 1)))


@kind
def head_quantized_and_not_told(m: Model, d: Random) -> None:
    module = m.head()
    if f"{module}.weight_scale" in m.tensors:
        raise Skip
    shape = m.tensors[m.main(module)].shape
    m.put(f"{module}.weight", made("I8", shape))
    m.put(f"{module}.weight_scale", made("BF16", (shape[0], 1)))


@kind
def a_dense_matrix_quantized_and_not_told(m: Model, d: Random) -> None:
    module = pick(d, m.dense())
    shape = m.tensors[m.main(module)].shape
    m.put(f"{module}.weight", made("I8", shape))
    m.put(f"{module}.weight_scale", made("BF16", (shape[0], 1)))


@kind
def codes_of_4_bits_unpacked(m: Model, d: Random) -> None:
    module = pick(d, m.packed())
    raw = m.tensors[f"{module}.weight_packed"]
    m.put(f"{module}.weight_packed", rows(raw, raw.shape[1] * 2, 1))


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


@kind
def partners_quantized_differently(m: Model, d: Random) -> None:
    module = pick(d, [module for module in m.quantized() if module.endswith((".k_proj", ".up_proj"))])
    if f"{module}.weight_packed" in m.tensors:
        out, words = m.tensors[f"{module}.weight_packed"].shape
        m.drop(module)
        m.put(f"{module}.weight", made("I8", (out, words * 4)))
        m.put(f"{module}.weight_scale", made("BF16", (out, 1)))
    else:
        raw = m.tensors[f"{module}.weight"]
        m.drop(module)
        m.put(f"{module}.weight_packed", made("I32", (raw.shape[0], raw.shape[1] // 4)))
        m.put(f"{module}.weight_scale", made("BF16", (raw.shape[0], 1)))
        m.put(f"{module}.weight_shape", from_numpy(np.array(raw.shape, np.int64)))


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
