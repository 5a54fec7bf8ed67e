"""Modules dense where codes are promised, and quantized where none are."""

from __future__ import annotations

from random import Random

import numpy as np
from field_kind import kind
from field_model import Model, Skip, made, pick, rows
from field_scales import head_scale
from raw_safetensors import from_numpy


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
    head_scale(m)
    _dense(m, m.head())


@kind
def head_left_dense_and_ignored(m: Model, d: Random) -> None:
    head_scale(m)
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


def _quantize(m: Model, module: str) -> None:
    """Put int8 codes with one scale to a row in the place of a dense matrix."""
    shape = m.tensors[m.main(module)].shape
    m.put(f"{module}.weight", made("I8", shape))
    m.put(f"{module}.weight_scale", made("BF16", (shape[0], 1)))


@kind
def embedding_quantized(m: Model, d: Random) -> None:
    module = m.embedding()
    _quantize(m, module)


@kind
def head_quantized_and_not_told(m: Model, d: Random) -> None:
    module = m.head()
    if f"{module}.weight_scale" in m.tensors:
        raise Skip
    _quantize(m, module)


@kind
def a_dense_matrix_quantized_and_not_told(m: Model, d: Random) -> None:
    module = pick(d, m.dense())
    _quantize(m, module)


@kind
def codes_of_4_bits_unpacked(m: Model, d: Random) -> None:
    module = pick(d, m.packed())
    raw = m.tensors[f"{module}.weight_packed"]
    m.put(f"{module}.weight_packed", rows(raw, raw.shape[1] * 2, 1))


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
